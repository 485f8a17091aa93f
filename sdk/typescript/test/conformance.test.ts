/** The engine in WebAssembly comes to the same, byte for byte, as the native one: on every scenario and at random. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { Limitr, LimitrError, LimitrPolicyError, type SyncLimitr } from '../dist/node.js';
import { isRecord } from '../dist/values.js';
import { sequentialIds } from '../dist/wasm.js';
import { temporaryFolder } from './support/folders.js';
import { randomScenario } from './support/random.js';
import { type Event, type Step, type Trace, traces } from './support/trace.js';

sequentialIds();

const RANDOM_SCENARIOS = 40;
const CALLS_EACH = 250;

const made = temporaryFolder();
for (let seed = 1; seed <= RANDOM_SCENARIOS; seed++) {
  writeFileSync(join(made, `${String(seed).padStart(3, '0')}.json`), JSON.stringify(randomScenario(seed, CALLS_EACH)));
}
const native = await traces('conformance', made);
const [random, written] = [
  native.filter(({ file }) => file.startsWith(made)),
  native.filter(({ file }) => !file.startsWith(made)),
];

describe('scenarios', () => {
  test('there are hundreds of them', () => assert.ok(written.length > 500, `${written.length}`));
  for (const trace of written) test(`${trace.file}: ${trace.name}`, () => comesToTheSame(trace));
});

describe('random calls', () => {
  for (const trace of random) test(trace.name, () => comesToTheSame(trace));
  test('they do all kinds of things', () => {
    const steps = random.flatMap((trace) => trace.steps);
    for (const verb of [
      'allow',
      'reserve',
      'settle',
      'set_customer_plan',
      'add_customer_cap',
      'apply_customer_topup',
      'run_capability',
      'claude_tool_use',
    ]) {
      const results = new Set(steps.filter((step) => step.verb === verb).map((step) => step.result ?? 'error'));
      assert.ok(results.size > 1, `${verb} always comes to ${[...results]}`);
    }
    const events = new Set(steps.flatMap((step) => step.events.map((event) => event.name)));
    for (const event of [
      'meter-changed',
      'meter-limit',
      'meter-overage',
      'meter-reset',
      'meter-governed',
      'cap-limit',
      'logic-error',
      'most',
      'often',
      'odd',
      'moved',
    ]) {
      assert.ok(events.has(event), `${event} never happens`);
    }
  });
});

async function comesToTheSame(trace: Trace): Promise<void> {
  // Once as JSON, as everything can be called, and once with the methods that have a way of their own.
  for (const take of [asJson, byMethod]) {
    const time = stoppedClock(trace.now);
    try {
      const policy = await load(trace);
      if (policy === undefined) return;
      using _freed = policy;
      const events: Event[] = [];
      policy.addHandler('trace', (name, value) => events.push({ name, value }));
      for (const [index, step] of trace.steps.entries()) {
        time.now = step.now;
        if (step.verb === 'advance' || step.verb === 'now') continue;
        const { error, result } = take(policy, step);
        const came = { error, result, events: events.splice(0) };
        const expected = { error: step.error, result: step.result, events: step.events };
        assert.deepEqual(came, expected, `step ${index + 1}: ${step.verb} ${step.args}`);
      }
      assert.equal(rawResult(policy, 'customers', {}), trace.customers);
    } finally {
      time.restore();
    }
  }
}

/** The engine on the scenario's policy; undefined where it is refused, as it must be. */
async function load({ policy, validate, refused }: Trace): Promise<Limitr | undefined> {
  if (refused === undefined) return Limitr.new(policy, 'json', validate);
  await assert.rejects(Limitr.new(policy, 'json', validate), (error) => {
    assert.ok(error instanceof LimitrPolicyError);
    const { code, message, problems } = error;
    const { code: expectedCode, message: expectedMessage, problems: expectedProblems = [] } = refused;
    assert.equal(
      JSON.stringify([code, message, problems]),
      JSON.stringify([expectedCode, expectedMessage, expectedProblems]),
    );
    return true;
  });
  return undefined;
}

type Outcome = Record<'result' | 'error', Step['result' | 'error']>;

function asJson(policy: Limitr, step: Step): Outcome {
  return outcome(() => {
    const { text, result } = seen(policy, () => policy.sync.operation(step.verb, JSON.parse(step.args)));
    assert.deepEqual(result, JSON.parse(text), 'what the SDK returns is what the engine said');
    return text;
  });
}

const METHODS = ['allow', 'check', 'increment', 'decrement'] as const;

/** The call of the method that asks for the policy's logic. */
function logic(sync: SyncLimitr, verb: string, args: Record<string, any>): (() => unknown) | undefined {
  const { name, customer, block, ...others } = args;
  const { arguments: input, notifications, capabilities, ...more } = others;
  if (Object.keys(more).length > 0) return undefined;
  switch (verb) {
    case 'set_notifications':
      return isRecord(notifications) ? () => sync.setNotifications(notifications as never) : undefined;
    case 'set_capabilities':
      return isRecord(capabilities) ? () => sync.setCapabilities(capabilities as never) : undefined;
    case 'capability':
      return () => sync.capability(name) ?? null;
    case 'run_capability':
      return input === undefined || isRecord(input) ? () => sync.runCapability(name, input, customer) : undefined;
    case 'claude_tools':
      return () => sync.claudeTools(customer);
    case 'claude_tool_use':
      return isRecord(block) ? () => sync.claudeToolUse(block as never, customer) : undefined;
    default:
      return undefined;
  }
}

function byMethod(policy: Limitr, step: Step): Outcome {
  const args = JSON.parse(step.args);
  const asked = logic(policy.sync, step.verb, args);
  if (asked !== undefined) {
    return outcome(() => {
      const { text, result } = seen(policy, asked);
      assert.deepEqual(result, JSON.parse(text), 'what the method returns is what the engine said');
      return text;
    });
  }
  const { customer, entitlement, value, ...others } = args;
  const method = METHODS.find((name) => name === step.verb);
  const plain = Object.keys(others).length === 0 && (value === undefined || typeof value === 'number');
  if (method === undefined || !plain || typeof customer !== 'string' || typeof entitlement !== 'string') {
    return asJson(policy, step);
  }
  return outcome(() => JSON.stringify(policy.sync[method](customer, entitlement, value)));
}

function outcome(call: () => string): Outcome {
  try {
    return { result: call(), error: undefined };
  } catch (error) {
    if (!(error instanceof LimitrError)) throw error;
    const { code, message, hint } = error;
    // The native trace leaves a policy's hints to its problems.
    const noHint = hint === undefined || error instanceof LimitrPolicyError;
    return { result: undefined, error: { code, message, ...(noHint ? {} : { hint }) } };
  }
}

function rawResult(policy: Limitr, verb: string, args: object): string {
  return seen(policy, () => policy.sync.operation(verb, args as Record<string, unknown>)).text;
}

/** What `call` returns, and the JSON text of the engine that it was read from. */
function seen<T>(policy: Limitr, call: () => T): { text: string; result: T } {
  const { engine } = policy.sync as unknown as { engine: { call(operation: string, now: number): string } };
  let text = '';
  engine.call = (operation, now) => (text = Object.getPrototypeOf(engine).call.call(engine, operation, now));
  const result = call();
  return { text, result };
}

function stoppedClock(now: number): { now: number; restore(): void } {
  const real = Date.now;
  const clock = { now, restore: () => void (Date.now = real) };
  Date.now = () => clock.now;
  return clock;
}
