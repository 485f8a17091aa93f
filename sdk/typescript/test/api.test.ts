/** Every method does what the specification says, as a promise and at once; events, the engine's life, its memory. */
import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, test } from 'node:test';

import { initSync } from '../dist/generated/limitr_wasm.js';
import { Limitr, LimitrError } from '../dist/node.js';
import { SyncLimitr } from '../dist/sync.js';
import { METHODS } from './support/methods.js';
import { POLICY, shop } from './support/shop.js';

const NOON = Date.UTC(2026, 0, 15, 12);
const DAY = 86_400_000;
/** Stands for the id of the hold made last. */
const ID = '<id>';

let now = NOON;
const realNow = Date.now;
beforeEach(() => {
  now = NOON;
  Date.now = () => now;
});
afterEach(() => void (Date.now = realNow));

/** A call and what it must return: a value, or for records the fields that matter. */
type Line = [method: string, given: unknown[], expected: unknown] | { later: number };
const is = (fields: object): { fields: object } => ({ fields });

/** The tool that the shop's capability is. */
const TOOL = {
  name: 'check_quota',
  description: 'Whether so many tokens would be allowed',
  input_schema: { type: 'object', properties: { tokens: { type: 'integer' } }, required: ['tokens'] },
};
const use = (input: object): object => ({ type: 'tool_use', id: 'toolu_1', name: 'check_quota', input });
const toolOf = (name: string): object => ({
  name,
  description: '',
  input_schema: { type: 'object', properties: {}, required: [] },
});

const STORIES: Record<string, Line[]> = {
  enforcement: [
    ['allow', ['ann', 'access'], true],
    ['allow', ['ann', 'tokens', 60], true],
    ['check', ['ann', 'tokens', 40], true],
    ['check', ['ann', 'tokens', 41], false],
    ['allow', ['ann', 'tokens', 41], false],
    ['explain', ['ann', 'tokens', 41], is({ allowed: false, reason: 'limit', remaining: 40, resets_at: NOON + DAY })],
    ['allow', ['ann', 'tokens', -10], true],
    ['value', ['ann', 'tokens'], 50],
    ['increment', ['ann', 'space'], true],
    ['value', ['ann', 'space'], 10],
    ['checkIncrement', ['ann', 'space'], true],
    ['checkDecrement', ['ann', 'space'], true],
    ['decrement', ['ann', 'space'], true],
    ['value', ['ann', 'space'], 0],
    ['allow', ['ann', 'space', '0.5GB'], true],
    ['value', ['ann', 'space'], 500],
    ['set', ['ann', 'space', '1GB'], true],
    ['value', ['ann', 'space'], 1000],
    ['checkIncrement', ['ann', 'space'], false],
    ['increment', ['ann', 'space'], false],
    ['increment', ['ann', 'space', { force: true }], true],
    ['set', ['ann', 'tokens', 101], false],
    ['allow', ['nobody', 'tokens', 1], false],
    ['explain', ['nobody', 'tokens', 1], is({ allowed: false, reason: 'unknown_customer' })],
    ['allow', ['ben', 'tokens', 5, { caps: { rune: 0 }, idempotencyKey: 'a' }], false],
    ['allow', ['ben', 'tokens', 7, { idempotencyKey: 'b' }], true],
    ['allow', ['ben', 'tokens', 7, { idempotencyKey: 'b' }], true],
    ['value', ['ben', 'tokens'], 7],
  ],
  reservations: [
    ['reserve', ['ann', 'tokens', { value: 70, ttl: '1hr' }], ID],
    ['held', ['ann', 'tokens'], 70],
    ['allow', ['ann', 'tokens', 31], false],
    ['reserve', ['ann', 'tokens', { value: 31 }], null],
    ['settle', ['ann', 'tokens', ID, 55], true],
    ['held', ['ann', 'tokens'], 0],
    ['value', ['ann', 'tokens'], 55],
    ['reserve', ['ann', 'tokens', { value: 10 }], ID],
    ['release', ['ann', 'tokens', ID], true],
    ['release', ['ann', 'tokens', ID], false],
    ['settle', ['ann', 'tokens', null, 5], true],
    ['value', ['ann', 'tokens'], 60],
    ['estimate', ['ben', 'access'], null],
    ['observe', ['ben', 'tokens', 12], true],
    ['estimate', ['ben', 'tokens'], is({ source: 'local' })],
  ],
  reads: [
    ['allow', ['ann', 'tokens', 25], true],
    { later: 1000 },
    ['allow', ['ann', 'tokens', 25], true],
    ['value', ['ann', 'tokens', true], 50],
    ['remaining', ['ann', 'tokens'], 50],
    ['remaining', ['ann', 'tokens', true], 50],
    ['remaining', ['ann', 'access'], null],
    ['limit', ['ann', 'tokens'], 100],
    ['limit', ['pro', 'tokens'], 1000],
    ['limit', ['ben', 'tokens'], 1005],
    ['limit', ['ben', 'tokens', false], 1000],
    ['remaining', ['ben', 'tokens'], 1005],
    ['remaining', ['ben', 'tokens', false, false], 1000],
    ['allowance', ['ann', 'tokens'], 50],
    ['cost', ['ann', 'space'], 10],
    ['resets', ['ann', 'tokens'], NOON + DAY],
    ['resets', ['ann', 'space'], null],
    ['rate', ['ann', 'tokens'], 0.025],
    ['acceleration', ['ann', 'tokens'], 0],
    ['projectedExhaustion', ['ann', 'tokens'], 2000],
    ['projectedExhaustion', ['ann', 'space'], null],
    ['remainingCredit', ['ben', 'token'], 5],
    ['creditExchange', ['gift', 'usd', 3], 6],
    ['creditExchange', ['gift', 'token'], 200],
    ['creditExchange', ['space', 'token'], null],
    ['meterObject', ['ann', 'tokens'], is({ credit: 'token', started: NOON, value: 50 })],
    ['limitObject', ['ann', 'tokens'], is({ credit: 'token', mode: 'hard', value: 100, reset_inc: DAY })],
    ['entitlement', ['ann', 'access'], is({ description: 'the door' })],
    ['entitlement', ['ann', 'nothing'], undefined],
    ['credit', ['space'], is({ stof_units: 'MB' })],
    ['credit', ['nothing'], undefined],
    ['creditFor', ['ann', 'space'], is({ stof_units: 'MB' })],
    ['plan', ['ben'], is({ id: 'pro', label: 'Pro' })],
    ['plan', ['free'], is({ id: 'free', default: true })],
    ['plan', ['gold'], undefined],
    ['defaultPlan', [], is({ id: 'free' })],
    ['planPeriod', ['ben'], 'yearly'],
    ['planPeriod', ['free'], 'monthly'],
    ['planPeriod', ['gold'], null],
    ['planTrialPeriod', ['ben'], 7 * DAY],
    ['planTrialPeriod', ['ann'], null],
  ],
  customers: [
    ['ensureCustomer', ['ann', 'pro'], false],
    ['ensureCustomer', ['cleo', 'pro', 'org', 'Org', ['ann'], ['c@x'], { seats: 3 }], true],
    ['customer', ['c@x'], is({ id: 'cleo', plan: 'pro', type: 'org', label: 'Org', alt_ids: ['c@x'] })],
    ['createCustomer', ['cleo', 'free', 'team'], is({ id: 'cleo', plan: 'free', type: 'team' })],
    ['customer', ['nobody'], undefined],
    ['customerRefs', ['cleo'], ['ann']],
    ['setCustomerRefs', ['cleo', ['ben']], true],
    ['customerRefs', ['cleo'], ['ben']],
    ['customerRefs', ['nobody'], null],
    ['customerMetadata', ['cleo'], { seats: 3 }],
    ['addAltID', ['ann', 'a@x'], true],
    ['customer', ['a@x'], is({ id: 'ann' })],
    ['removeAltID', ['ann', 'a@x'], true],
    ['removeAltID', ['ann', 'a@x'], false],
    ['setCustomerPlan', ['cleo', 'pro'], true],
    ['setCustomerPlan', ['cleo', 'pro'], false],
    ['setCustomerPlan', ['cleo', 'gold'], false],
    ['removeCustomer', ['cleo'], true],
    ['removeCustomer', ['cleo'], false],
    ['customers', [], is({ ann: {}, ben: {} })],
    ['setCustomer', [{ id: 'dan', plan: 'free', meters: {} }], true],
    ['ensureSetCustomer', [{ id: 'dan', plan: 'pro' }], false],
    ['ensureSetCustomer', [{ id: 'eve', plan: 'pro' }], true],
    ['loadCustomers', [[{ id: 'fay', plan: 'free' }]], true],
    ['loadCustomers', [{ gus: { id: 'gus', plan: 'free' } }], true],
    ['plan', ['gus'], is({ id: 'free' })],
  ],
  'what customers have of their own': [
    ['createCustomerOverride', ['ann', 'tokens', { value: 500 }], is({ credit: 'token', value: 500, reset_inc: DAY })],
    ['limit', ['ann', 'tokens'], 500],
    ['removeCustomerOverride', ['ann', 'tokens'], true],
    ['limit', ['ann', 'tokens'], 100],
    ['removeCustomerOverride', ['ann', 'tokens'], false],
    ['applyCustomerTopup', ['ben', 'pack'], true],
    ['remainingCredit', ['ben', 'token'], 55],
    ['applyCustomerTopup', ['ben', 'nothing'], false],
    ['ensureCustomerIncludedTopups', ['ben'], false],
    ['ensureCustomerPlanQuantity', ['ben'], false],
    { later: 7 * DAY },
    ['ensureCustomerPlanQuantity', ['ben'], true],
    ['value', ['ben', 'subscription'], 1],
    ['ensureCustomerPlanQuantity', ['ben'], false],
  ],
  'caps and margin': [
    ['addCustomerCap', ['ben', 1, { id: 'c1' }], is({ id: 'c1', credit: 'rune', value: 1, meter_value: 0 })],
    ['allow', ['ben', 'tokens', 60], true],
    ['customerCap', ['ben', 'c1'], is({ meter_value: 0.6 })],
    ['allow', ['ben', 'tokens', 60], false],
    ['resetCustomerCap', ['ben', 'c1'], true],
    ['startMarginMeasurement', ['ben'], true],
    ['allow', ['ben', 'tokens', 60], true],
    ['captureMarginMeasurement', ['ben'], { charged: 0, costs: 0.12, margin: null, raw_margin: -0.12 }],
    ['captureMarginMeasurement', ['ben'], null],
    ['removeCustomerCap', ['ben', 'c1'], true],
    ['removeCustomerCap', ['ben', 'c1'], false],
    ['customerCap', ['ben', 'c1'], undefined],
    ['customerMarginSnapshot', ['ben'], is({ cost: 0.24, margin: -0.24 })],
    ['marginSnapshot', ['pro', { tokens: 1500 }, false], is({ revenue: 5, cost: 3, margin: 2 })],
    ['marginSnapshot', ['pro', { tokens: 1500 }], is({ revenue: 365 * 5, cost: 365 * 3 })],
    ['marginSnapshot', ['gold', {}], null],
  ],
  policy: [
    ['valid', [], [true, '']],
    ['setPlan', ['max', { entitlements: { access: {} } }], true],
    ['plan', ['max'], is({ id: 'max', entitlements: { access: {} } })],
    ['deletePlan', ['max'], true],
    ['deletePlan', ['max'], false],
    ['difference', [{}], is({})],
  ],
  logic: [
    ['capability', ['quota'], is({ name: 'check_quota', parameters: [{ name: 'tokens', type: 'integer', required: true }] })],
    ['capability', ['check_quota'], is({ name: 'check_quota' })],
    ['capability', ['nothing'], undefined],
    ['runCapability', ['quota', { tokens: 100 }, 'ann'], true],
    ['runCapability', ['check_quota', { tokens: 101 }, 'ann'], false],
    ['claudeTools', ['ann'], [TOOL]],
    ['claudeTools', [], [TOOL]],
    ['claudeToolUse', [use({ tokens: 1 }), 'ann'], { type: 'tool_result', tool_use_id: 'toolu_1', content: 'true' }],
    ['claudeToolUse', [use({ tokens: 'many' }), 'ann'], is({ tool_use_id: 'toolu_1', is_error: true })],
    ['setCapabilities', [{ ping: { result: "'pong'" }, sum: { result: '[1, 2.5]' }, vip: { plans: ['pro'], result: '1' } }], true],
    ['runCapability', ['ping'], 'pong'],
    ['runCapability', ['sum', {}], [1, 2.5]],
    ['runCapability', ['vip', undefined, 'ben'], 1],
    ['claudeTools', ['ann'], [toolOf('ping'), toolOf('sum')]],
    ['claudeTools', ['ben'], [toolOf('ping'), toolOf('sum'), toolOf('vip')]],
    ['setNotifications', [{ half: { on: 'meter-changed', when: 'crossed(0.5)', once: 'period' } }], true],
    ['setNotifications', [{}], true],
  ],
};

for (const [way, take] of [
  ['as promises', (policy: Limitr) => policy],
  ['at once', (policy: Limitr) => policy.sync],
] as const) {
  describe(`methods, ${way}`, () => {
    for (const [what, lines] of Object.entries(STORIES)) {
      test(what, async () => {
        using policy = await shop();
        const methods = take(policy) as unknown as Record<string, (...given: unknown[]) => unknown>;
        let id: unknown;
        for (const line of lines) {
          if ('later' in line) {
            now += line.later;
            continue;
          }
          const [method, given, expected] = line;
          const returned = methods[method]!(...given.map((value) => (value === ID ? id : value)));
          assert.equal(returned instanceof Promise, way === 'as promises', method);
          const result = await returned;
          const call = `${method}(${JSON.stringify(given)})`;
          if (expected === ID) {
            assert.match(String(result), /^[0-9a-f]{32}$/, call);
            id = result;
          } else if (isFields(expected)) {
            contains(result, expected.fields, call);
          } else {
            assert.deepEqual(result, expected, call);
          }
        }
      });
    }
  });
}

test('the tables here have every method, and both ways have the same', () => {
  const others = ['constructor', 'engine', 'closed', 'free', 'operation', 'record', 'stringify'];
  const sync = Object.getOwnPropertyNames(SyncLimitr.prototype).filter((name) => !others.includes(name));
  assert.deepEqual(METHODS.map(([method]) => method).sort(), [...sync].sort());
  for (const method of sync)
    assert.equal(typeof (Limitr.prototype as unknown as Record<string, unknown>)[method], 'function');
  const told = new Set(
    Object.values(STORIES).flatMap((lines) => lines.map((line) => ('later' in line ? '' : line[0]))),
  );
  assert.deepEqual(
    sync.filter((method) => !told.has(method)),
    [],
  );
});

test('difference names what changed', async () => {
  using policy = await shop();
  const other = structuredClone(policy.doc.record().policy);
  assert.deepEqual(await policy.difference(other), []);
  other.plans!['free']!.entitlements['tokens']!.limit!.value = 200;
  const path = 'plans.free.entitlements.tokens.limit.value';
  assert.deepEqual(await policy.difference(other), [{ path, before: 100, after: 200 }]);
});

test('an engine on a policy with problems says so', async () => {
  using policy = await Limitr.new(POLICY.replace('credit: space', 'credit: spaec'), 'yaml', false);
  const [ok, message] = await policy.valid();
  assert.equal(ok, false);
  assert.match(message, /^policy\.plans\.free\.entitlements\.space\.limit\.credit: .*`spaec`/);
});

test('a policy comes as text, bytes, or data with and without its key', async () => {
  using policy = await shop();
  const record = policy.doc.record();
  const bytes = new TextEncoder().encode(policy.doc.stringify('toml'));
  const documents: [string | object, 'yaml' | 'json' | 'toml'][] = [
    [policy.doc.stringify('yaml'), 'yaml'],
    [policy.doc.stringify('json'), 'json'],
    [bytes, 'toml'],
    [bytes.buffer, 'toml'],
    [Buffer.from(bytes), 'toml'],
    [record, 'yaml'],
    [record.policy, 'yaml'],
  ];
  for (const [document, format] of documents) {
    using same = await Limitr.new(document, format);
    assert.deepEqual(same.doc.record(), record);
  }
});

describe('events', () => {
  test('handlers hear all of them in order, objects as JSON text, after the effects', async () => {
    using policy = await shop();
    const heard: string[] = [];
    policy.addHandler('first', (key, value) => {
      assert.equal(typeof value, 'string');
      heard.push(`first ${key} ${policy.sync.value('ann', 'tokens')} ${JSON.parse(value).event_data}`);
    });
    policy.addHandler('second', (key) => heard.push(`second ${key}`));
    await policy.allow('ann', 'tokens', 5);
    await policy.allow('ann', 'tokens', 500, 'data');
    await policy.allow('ann', 'tokens', 5, false);
    now += DAY;
    await policy.allow('ann', 'tokens', 1);
    assert.deepEqual(heard, [
      'first meter-changed 5 null',
      'second meter-changed',
      'first meter-limit 5 data',
      'second meter-limit',
      'first meter-reset 1 null',
      'second meter-reset',
      'first meter-changed 1 null',
      'second meter-changed',
    ]);
  });

  test('`on` hears one kind, typed, until it is stopped', async () => {
    using policy = await shop();
    const heard: [number, string, number][] = [];
    const stop = policy.on('meter-limit', ({ meter, customer, overage }) => {
      const { limit }: { limit: number } = meter;
      heard.push([limit, customer.id, overage]);
    });
    await policy.allow('ann', 'tokens', 99);
    await policy.allow('ann', 'tokens', 99);
    stop();
    await policy.allow('ann', 'tokens', 99);
    assert.deepEqual(heard, [[100, 'ann', 98]]);
    // @ts-expect-error There is no such event.
    policy.on('meter-limits', () => {});
    // @ts-expect-error Its payload has no such field.
    policy.on('meter-limit', ({ metre }) => metre);
  });

  test('`on` hears a notification by its name, typed too', async () => {
    using policy = await shop();
    await policy.setNotifications({
      eighty_percent: {
        when: 'crossed(0.8)',
        severity: 'warning',
        message: '{customer.label} used {percent()}% of {entitlement}',
      },
      denied: { on: ['meter-limit'], severity: 'critical' },
      began: { on: 'meter-changed', once: 'period' },
    });
    const heard: unknown[] = [];
    const stop = policy.on('eighty_percent', ({ notification, customer, meter }) => {
      const { severity, message, event }: { severity: 'info' | 'warning' | 'critical'; message: string; event: string } =
        notification;
      const used: number | undefined = meter?.value;
      heard.push([severity, message, event, customer?.id, used]);
    });
    // Any text will do, so that names can come from the policy.
    for (const name of Object.keys(policy.doc.record().policy.notifications ?? {})) {
      policy.on(name, ({ notification }) => heard.push(notification.name));
    }
    await policy.allow('ann', 'tokens', 79);
    await policy.allow('ann', 'tokens', 2);
    stop();
    await policy.allow('ann', 'tokens', 50);
    await policy.allow('ann', 'tokens', 50, false);
    assert.deepEqual(heard, [
      'began',
      ['warning', 'User used 81% of tokens', 'meter-changed', 'ann', 81],
      'eighty_percent',
      'denied',
    ]);
    assert.deepEqual((await policy.customer('ann'))?.notified, { began: { tokens: NOON } });
    // @ts-expect-error The event it matched need not have had a meter.
    policy.on('eighty_percent', ({ meter }) => meter.value);
    // @ts-expect-error No event's payload has such a field.
    policy.on('eighty_percent', ({ metre }) => metre);
  });

  test('a handler added again takes the place of the one before; a removed one is quiet', async () => {
    using policy = await shop();
    const heard: string[] = [];
    policy.addHandler('a', () => heard.push('old'));
    policy.addHandler('a', () => heard.push('new'));
    await policy.allow('ann', 'tokens', 1);
    assert.equal(policy.removeHandler('a'), true);
    assert.equal(policy.removeHandler('a'), false);
    await policy.allow('ann', 'tokens', 1);
    assert.deepEqual(heard, ['new']);
  });

  test('restoring sends none', async () => {
    using policy = await shop();
    const snapshot = await policy.customers();
    using next = await Limitr.new(POLICY);
    next.addHandler('all', (key) => assert.fail(key));
    await next.loadCustomers(snapshot);
    await next.loadCustomers(Object.values(snapshot));
    assert.equal(JSON.stringify(await next.customers()), JSON.stringify(snapshot));
  });
});

test('calls at the same time do not interleave', async () => {
  using policy = await shop();
  const allowed = await Promise.all(Array.from({ length: 200 }, () => policy.allow('ann', 'tokens', 1)));
  assert.equal(allowed.filter(Boolean).length, 100);
});

test('`using` frees the engine', async () => {
  let kept: Limitr;
  {
    using policy = await shop();
    kept = policy;
    assert.equal(await kept.allow('ann', 'tokens'), true);
  }
  await assert.rejects(kept.allow('ann', 'tokens'), (error) => error instanceof LimitrError && error.code === 'closed');
});

test('what a call costs is computed from its data', async () => {
  using policy = await Limitr.new(
    POLICY.replace(
      'overhead_cost: 0.002}',
      'overhead_cost: 0.002, data: {small: 0.001, big: 0.01}, overhead: "units * data[context.model]"}',
    ),
  );
  await policy.createCustomer('ann');
  const costs: number[] = [];
  const errors: [path: string, customer: string | undefined, column: number | undefined][] = [];
  policy.on('meter-changed', ({ meter }) => costs.push(meter.overhead_diff));
  policy.on('logic-error', ({ path, customer, column }) => errors.push([path, customer?.id, column]));
  await policy.allow('ann', 'tokens', 10, { model: 'small' });
  await policy.allow('ann', 'tokens', 10, { event: { model: 'big' }, idempotencyKey: 'a' });
  await policy.allow('ann', 'tokens', 10, { overhead: 5 });
  // Without a result it is the fixed rate, and somebody hears of that: once a minute.
  assert.equal(await policy.allow('ann', 'tokens', 10, { model: 'new' }), true);
  assert.equal(await policy.allow('ann', 'tokens', 10), true);
  assert.deepEqual(costs, [0.01, 0.1, 5, 0.02, 0.02]);
  assert.deepEqual(errors, [['policy.credits.token.overhead', 'ann', 14]]);
  assert.equal((await policy.credit('token'))?.overhead, 'units * data[context.model]');
});

describe('memory stays flat', () => {
  let size: () => number;
  before(async () => {
    (await shop()).free();
    // The module is there now: this only hands out its exports.
    const { memory } = initSync({ module: new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)) });
    size = () => memory.buffer.byteLength;
  });

  for (const [what, handlers] of [
    ['without handlers', 0],
    ['with handlers', 2],
  ] as const) {
    test(`over 300,000 calls ${what}`, async () => {
      Date.now = realNow;
      using policy = await shop();
      let heard = 0;
      for (let handler = 0; handler < handlers; handler++) policy.addHandler(`${handler}`, () => heard++);
      const calls = (count: number): void => {
        for (let call = 0; call < count; call += 3) {
          policy.sync.allow('ben', 'tokens', 1);
          policy.sync.allow('ann', 'tokens', 1000);
          policy.sync.check('ann', 'space', 1);
        }
      };
      const others = (count: number): void => {
        for (let call = 0; call < count; call += 3) {
          policy.sync.customer('ben');
          policy.sync.runCapability('quota', { tokens: call }, 'ann');
          policy.sync.allow('ben', 'tokens', '1', { event: { call } });
          assert.throws(() => policy.sync.addAltID('ann', 'ben'));
        }
      };
      calls(3000);
      others(3000);
      const before = size();
      calls(270_000);
      others(30_000);
      assert.equal(size(), before);
      assert.equal(heard > 0, handlers > 0);
    });
  }

  test('over 500 engines, freed', async () => {
    for (let round = 0; round < 50; round++) (await shop()).free();
    const before = size();
    for (let round = 0; round < 500; round++) (await shop()).free();
    assert.equal(size(), before);
  });
});

function isFields(expected: unknown): expected is { fields: object } {
  return typeof expected === 'object' && expected !== null && 'fields' in expected;
}

/** Whether of an object all these fields are as given, at every depth. */
function contains(actual: unknown, expected: unknown, message: string): void {
  if (typeof expected !== 'object' || expected === null || Array.isArray(expected)) {
    assert.deepEqual(actual, expected, message);
    return;
  }
  assert.ok(typeof actual === 'object' && actual !== null, message);
  for (const [field, value] of Object.entries(expected)) {
    contains((actual as Record<string, unknown>)[field], value, `${message}.${field}`);
  }
}
