/** Whatever JavaScript hands over: a typed error or a plain denial, and nothing is changed. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { Limitr, LimitrError, LimitrPolicyError, LimitrValueError } from '../dist/node.js';
import { METHODS, type Kind } from './support/methods.js';
import { POLICY, shop } from './support/shop.js';

const HUGE = 'x'.repeat(10_000_000);
const HALF = 'half \ud83d';
const circular: { self?: object } = {};
circular.self = circular;
/** Nested deeper than anything that reads JSON goes. */
const deep = JSON.parse('{"a":'.repeat(500) + '1' + '}'.repeat(500));

/** What no argument of a kind can be. */
const NEVER: Record<Kind, unknown[]> = {
  text: [null, 5, NaN, true, {}, [], ['ann'], 1n, Symbol('ann'), () => 'ann', new String('ann'), HALF],
  amount: [NaN, Infinity, -Infinity, null, true, {}, [], [5], 1n, Symbol('5'), () => 5, new Date(), HALF],
  number: [NaN, Infinity, -Infinity, null, true, '5', {}, [], 1n, Symbol('5')],
  flag: [null, 0, 1, 'true', {}, [], 1n, Symbol('true')],
  record: [
    null,
    5,
    'text',
    true,
    [],
    1n,
    Symbol('record'),
    circular,
    { a: 1n },
    { a: NaN },
    { a: HALF },
    { [HALF]: 1 },
    deep,
  ],
  records: [null, 5, 'text', true, 1n, [5], [null], { ann: 5 }, [circular], [{ id: 'ann', plan: 7 }], [{}]],
  texts: [null, 5, 'text', {}, [5], [null], [undefined], [HALF]],
  hold: [5, {}, [], 1n, Symbol('hold'), HALF],
  event: [1n, Symbol('event'), () => 1, NaN, circular, { a: { b: 1n } }, { a: HALF }, { [HALF]: 1 }, deep],
};
const UNDEFINED_TOO = new Set<Kind>(['text', 'amount', 'number', 'flag', 'record', 'records', 'texts', 'hold']);

describe('arguments of the wrong type', () => {
  for (const [method, ...parameters] of METHODS) {
    for (const [index, [name, kind, , optional]] of parameters.entries()) {
      test(`${method}: ${name}`, async () => {
        using policy = await shop();
        const before = JSON.stringify(policy.sync.customers());
        const values = optional || !UNDEFINED_TOO.has(kind) ? NEVER[kind] : [...NEVER[kind], undefined];
        for (const value of values) {
          const given = parameters.map(([, , good], at) => (at === index ? value : good));
          const call = (): unknown => (policy.sync as unknown as Methods)[method]!(...given);
          assert.throws(call, typed, `${method}(${given.map(shown).join(', ')})`);
          await assert.rejects(async () => (policy as unknown as Methods)[method]!(...given), typed);
        }
        assert.equal(JSON.stringify(policy.sync.customers()), before);
      });
    }
  }
});

describe('call options of the wrong type', () => {
  const options: [field: string, values: unknown[]][] = [
    ['overhead', NEVER.amount],
    ['force', NEVER.flag],
    ['idempotencyKey', NEVER.text],
    [
      'caps',
      [5, 'rune', true, 1n, [5], { rune: {} }, { rune: NaN }, [{ value: 1, scope: 5 }], [{ valeu: 1 }], circular],
    ],
    ['event', [1n, Symbol('event'), circular]],
  ];
  for (const [field, values] of options) {
    test(field, async () => {
      using policy = await shop();
      for (const value of values) {
        assert.throws(
          () => policy.sync.allow('ann', 'tokens', 1, { [field]: value }),
          typed,
          `${field}: ${shown(value)}`,
        );
      }
      assert.equal(policy.sync.value('ann', 'tokens'), 0);
    });
  }
});

describe('amounts that are none', () => {
  for (const amount of ['', ' ', 'many', 'NaN', 'Infinity', '1e400', '0x10', '5 parsecs', '1,5', '--5', '5MB5', HUGE]) {
    test(JSON.stringify(amount.slice(0, 12)), async () => {
      using policy = await shop();
      assert.equal(await policy.allow('ann', 'space', amount), false);
      assert.equal((await policy.explain('ann', 'space', amount)).reason, 'invalid_value');
      assert.equal(policy.sync.value('ann', 'space'), 0);
    });
  }
  test('of another dimension', async () => {
    using policy = await shop();
    assert.equal(await policy.allow('ann', 'space', '5s'), false);
  });
});

describe('names of 10 MB', () => {
  test('are nobody and nothing', async () => {
    using policy = await shop();
    const before = JSON.stringify(policy.sync.customers());
    assert.equal(await policy.allow(HUGE, 'tokens', 1), false);
    assert.equal(await policy.allow('ann', HUGE, 1), false);
    assert.equal(await policy.remaining(HUGE, HUGE), null);
    assert.equal(await policy.customer(HUGE), undefined);
    assert.equal(await policy.plan(HUGE), undefined);
    assert.equal(await policy.setCustomerPlan('ann', HUGE), false);
    await assert.rejects(policy.createCustomer(HUGE), coded('invalid_id'));
    await assert.rejects(policy.addAltID('ann', HUGE), coded('invalid_id'));
    await assert.rejects(policy.createCustomer('new', HUGE), coded('unknown_plan'));
    await assert.rejects(policy.setPlan(HUGE, {}), coded('bad_name'));
    assert.equal(await policy.capability(HUGE), undefined);
    await assert.rejects(policy.runCapability(HUGE), coded('unknown_capability'));
    await assert.rejects(policy.runCapability('quota', { [HUGE]: 1 }), coded('bad_argument'));
    await assert.rejects(policy.runCapability('quota', { tokens: 1 }, HUGE), coded('unknown_customer'));
    await assert.rejects(policy.setCapabilities({ [HUGE]: { result: '1' } }), coded('bad_name'));
    await assert.rejects(policy.setNotifications({ half: { when: HUGE } }), LimitrPolicyError);
    assert.throws(() => policy.sync.operation(HUGE, {}), coded('bad_operation'));
    await assert.rejects(Limitr.new(HUGE), LimitrPolicyError);
    assert.equal(JSON.stringify(policy.sync.customers()), before);
  });
});

describe('names that JavaScript has a meaning for', () => {
  for (const name of ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'then']) {
    test(name, async () => {
      using policy = await shop();
      const own = <T>(value: T): Record<string, T> => JSON.parse(`{${JSON.stringify(name)}: ${JSON.stringify(value)}}`);
      // They mean nothing to the engine.
      assert.equal(await policy.allow(name, 'tokens'), false);
      assert.equal(await policy.allow('ann', name), false);
      assert.equal(await policy.customer(name), undefined);
      assert.equal(await policy.credit(name), undefined);
      assert.equal(await policy.plan(name), undefined);
      assert.equal(await policy.setCustomerPlan('ann', name), false);
      await assert.rejects(policy.runCapability(name), coded('unknown_capability'));
      await assert.rejects(policy.runCapability('quota', own(1)), coded('bad_argument'));
      // And are names like others.
      await policy.setNotifications(own({ on: 'meter-changed', message: name }));
      const heard: string[] = [];
      policy.on(name, ({ notification }) => heard.push(notification.name, notification.message));
      await policy.setCapabilities({ echo: { parameters: [{ name }], result: 'input' } });
      assert.deepEqual(await policy.runCapability('echo', own('a')), own('a'));
      await policy.setPlan(name, { entitlements: own({ limit: { credit: 'token', value: 10 } }) });
      await policy.createCustomer(name, name, 'user', 'User', undefined, undefined, own({ deep: own(1) }));
      assert.equal(await policy.allow(name, name, 4, own('data')), true);
      assert.deepEqual(heard, [name, name]);
      assert.equal((await policy.customer(name))?.plan, name);
      const { [name]: record } = await policy.customers();
      assert.equal(Object.entries(record?.meters ?? {}).find(([entitlement]) => entitlement === name)?.[1].value, 4);
      assert.deepEqual(record?.metadata, own({ deep: own(1) }));

      using next = await Limitr.new(policy.doc.record());
      assert.equal(await next.loadCustomers(await policy.customers()), true);
      assert.equal(JSON.stringify(await next.customers()), JSON.stringify(await policy.customers()));
      assert.equal(({} as Record<string, unknown>)['deep'], undefined);
    });
  }
});

describe('logic', () => {
  test('every mistake in new logic is told at once, with its place, and the old stays', async () => {
    using policy = await shop();
    await policy.setNotifications({ all: { on: 'meter-changed' } });
    const [before, heard]: [string, string[]] = [policy.doc.stringify('json'), []];
    policy.addHandler('all', (name) => heard.push(name));
    const places = (code: string, problems: object[]) => (error: unknown) => {
      assert.ok(error instanceof LimitrPolicyError, `${error}`);
      assert.equal(error.code, code);
      assert.deepEqual(error.problems.map(({ code, path, within }) => ({ code, path, within })), problems);
      return true;
    };
    const within = (column: number): object => ({ line: 1, column });
    await assert.rejects(
      policy.setNotifications({ a: { when: 'event.meter.value > ' }, b: { message: 'of {nobody}' }, c: { on: ['meter'] } }),
      places('invalid_policy', [
        { code: 'expression_syntax', path: 'policy.notifications.a.when', within: within(21) },
        { code: 'expression_type', path: 'policy.notifications.b.message', within: within(5) },
        { code: 'unknown_event', path: 'policy.notifications.c.on[0]', within: undefined },
      ]),
    );
    await assert.rejects(
      policy.setCapabilities({ a: {}, b: { result: '1 + "a"' }, 'no tool': { result: '1' } }),
      LimitrPolicyError,
    );
    for (const odd of [5, null, [], 'text', { on: 5 }, { when: {} }, { severity: 'loud' }, { wehn: 'true' }]) {
      await assert.rejects(policy.setNotifications({ odd } as never), typed, shown(odd));
      await assert.rejects(policy.setCapabilities({ odd } as never), typed, shown(odd));
    }
    assert.equal(policy.doc.stringify('json'), before);
    await policy.allow('ann', 'tokens', 1);
    assert.deepEqual(heard, ['meter-changed', 'all']);
  });

  test('arguments that a capability does not take', async () => {
    using policy = await shop();
    for (const args of [{}, { tokens: null }, { tokens: '5' }, { tokens: 1.5 }, { tokens: [5] }, { tokens: {} }]) {
      await assert.rejects(policy.runCapability('quota', args, 'ann'), (error) => {
        coded('bad_argument')(error);
        assert.equal((error as LimitrError).path, 'quota.tokens');
        return true;
      });
    }
    await assert.rejects(policy.runCapability('quota', { tokens: 1, token: 1 }, 'ann'), coded('bad_argument'));
    await assert.rejects(policy.runCapability('quota', { tokens: 1 }, 'nobody'), coded('unknown_customer'));
    await assert.rejects(policy.runCapability('quotas', { tokens: 1 }, 'ann'), coded('unknown_capability'));
    const failed: string[] = [];
    policy.on('logic-error', ({ message }) => failed.push(message));
    await assert.rejects(policy.runCapability('quota', { tokens: 1 }), coded('capability_failed'));
    assert.deepEqual(failed, ['`check` needs a customer, and none is given']);
    await assert.rejects(policy.claudeTools('nobody'), coded('unknown_customer'));
  });

  test('blocks that are no tool_use, and what a model may put into one', async () => {
    using policy = await shop();
    const before = JSON.stringify(policy.sync.customers());
    const block = { type: 'tool_use', id: 'toolu_1', name: 'check_quota', input: { tokens: 1 } } as const;
    for (const odd of [
      {},
      { ...block, type: 'text' },
      { ...block, id: 5 },
      { ...block, name: null },
      { type: 'tool_use', id: 'toolu_1' },
    ]) {
      await assert.rejects(policy.claudeToolUse(odd as never, 'ann'), coded('bad_argument'), shown(odd));
    }
    for (const input of [undefined, null, {}, [], 'text', 5, { tokens: 'x' }, { tokens: 1e308 }, { tokens: 1, sql: '' }]) {
      const result = await policy.claudeToolUse({ ...block, input }, 'ann');
      assert.deepEqual([result.type, result.tool_use_id, result.is_error], ['tool_result', 'toolu_1', true], shown(input));
      assert.ok(result.content.length > 0);
    }
    assert.equal((await policy.claudeToolUse({ ...block, name: HUGE }, 'ann')).is_error, true);
    assert.equal(JSON.stringify(policy.sync.customers()), before);
  });
});

describe('policies', () => {
  test('three typos are three problems, each with its place', async () => {
    const typos = POLICY.replace('price: {amount: 20}', 'prise: {amount: 20}')
      .replace('mode: soft', 'mode: sofd')
      .replace('credit: space', 'credit: spaec');
    const places = typos
      .split('\n')
      .flatMap((line, index) =>
        ['prise', 'sofd', 'spaec']
          .filter((typo) => line.includes(typo))
          .map((typo) => [typo, index + 1, line.indexOf(typo) + 1]),
      );
    await assert.rejects(Limitr.new(typos), (error) => {
      assert.ok(error instanceof LimitrPolicyError);
      assert.equal(error.code, 'invalid_policy');
      const found = error.problems.map(({ message, line, column }) => [/`(\w+)`/.exec(message)?.[1], line, column]);
      assert.deepEqual(found, places);
      for (const { code, path, message } of error.problems) {
        assert.match(code, /^[a-z_]+$/);
        assert.match(path, /^policy\./);
        assert.ok(error.message.includes(message));
      }
      return true;
    });
  });

  const documents: [what: string, document: unknown, format: unknown, code: string][] = [
    ['nothing', undefined, 'yaml', 'invalid_argument'],
    ['null', null, 'yaml', 'invalid_argument'],
    ['a number', 5, 'yaml', 'invalid_argument'],
    ['a function', () => POLICY, 'yaml', 'invalid_argument'],
    ['a list', [POLICY], 'yaml', 'invalid_argument'],
    ['bytes that are not UTF-8', Uint8Array.of(0x70, 0xff, 0xfe), 'yaml', 'invalid_argument'],
    ['a buffer that is not UTF-8', Uint8Array.of(0xc3).buffer, 'yaml', 'invalid_argument'],
    ['half of a surrogate pair', `${POLICY}# ${HALF}`, 'yaml', 'invalid_argument'],
    ['an object in itself', { policy: circular }, 'json', 'invalid_value'],
    ['a BigInt inside', { policy: { version: 1n } }, 'json', 'invalid_value'],
    ['no format', POLICY, null, 'invalid_argument'],
    ['an unknown format', POLICY, 'xml', 'unknown_format'],
    ['YAML for JSON', POLICY, 'json', 'syntax'],
  ];
  for (const [what, document, format, code] of documents) {
    test(what, () => assert.rejects(Limitr.new(document as string, format as 'yaml'), coded(code)));
  }
  test('whether to validate is true or false', () =>
    assert.rejects(Limitr.new(POLICY, 'yaml', null as unknown as boolean), coded('invalid_argument')));
});

describe('handlers', () => {
  let policy: Limitr;
  let reports: [error: unknown, event: string, handler: string][];
  beforeEach(async () => {
    policy = await shop();
    reports = [];
    policy.onHandlerError = (...report) => void reports.push(report);
  });
  afterEach(() => policy.free());
  const used = (): number | null => policy.sync.value('ann', 'tokens');

  test('what they throw is reported and changes nothing', async () => {
    const error = new Error('handler');
    const heard: string[] = [];
    policy.addHandler('bad', () => {
      throw error;
    });
    policy.addHandler('good', (name) => heard.push(name));
    assert.equal(await policy.allow('ann', 'tokens', 5), true);
    assert.equal(used(), 5);
    assert.deepEqual(heard, ['meter-changed']);
    assert.deepEqual(reports, [[error, 'meter-changed', 'bad']]);
  });

  test('what their promises are rejected with is reported', async () => {
    const thenable = { then: (_: unknown, reject: (error: unknown) => void) => reject('foreign') };
    policy.addHandler('own', async () => Promise.reject('own'));
    policy.addHandler('foreign', () => thenable);
    assert.equal(policy.sync.allow('ann', 'tokens', 5), true);
    await new Promise(setImmediate);
    assert.deepEqual(reports.sort(), [
      ['foreign', 'meter-changed', 'foreign'],
      ['own', 'meter-changed', 'own'],
    ]);
  });

  test('an onHandlerError that throws or rejects is harmless', async (t) => {
    const said = t.mock.method(console, 'error', () => {});
    policy.addHandler('bad', () => {
      throw new Error('handler');
    });
    for (const report of [() => assert.fail('reporter'), async () => assert.fail('reporter')]) {
      policy.onHandlerError = report;
      assert.equal(policy.sync.allow('ann', 'tokens', 1), true);
    }
    await new Promise(setImmediate);
    assert.equal(used(), 2);
    assert.equal(said.mock.callCount(), 2);
  });

  test('they may call the engine', () => {
    const heard: number[] = [];
    policy.on('meter-changed', ({ meter }) => {
      heard.push(meter.value);
      if (meter.value < 50) policy.sync.allow('ann', 'tokens', 10);
    });
    assert.equal(policy.sync.allow('ann', 'tokens', 10), true);
    assert.deepEqual(heard, [10, 20, 30, 40, 50]);
    assert.equal(used(), 50);
  });

  test('they may remove themselves and others', () => {
    const heard: string[] = [];
    policy.addHandler('once', () => {
      heard.push('once');
      policy.removeHandler('once');
    });
    policy.addHandler('all', () => {
      heard.push('all');
      policy.clearHandlers();
    });
    for (let call = 0; call < 3; call++) policy.sync.allow('ann', 'tokens', 1);
    assert.deepEqual(heard, ['once', 'all']);
    assert.equal(used(), 3);
    policy.addHandler('again', () => heard.push('again'));
    policy.sync.allow('ann', 'tokens', 1);
    assert.deepEqual(heard, ['once', 'all', 'again']);
  });

  for (const [name, end] of [
    ['free', () => policy.free()],
    ['close', () => policy.close()],
  ] as const) {
    test(`they may ${name} the engine: the call's result still comes`, async () => {
      policy.addHandler('end', end);
      assert.equal(policy.sync.allow('ann', 'tokens', 1), true);
      await new Promise(setImmediate);
      assert.throws(() => policy.sync.allow('ann', 'tokens', 1), coded('closed'));
      assert.deepEqual(reports, []);
    });
  }

  test('what is no function is refused', () => {
    for (const handler of [undefined, null, 5, 'text', {}, Promise.resolve()]) {
      assert.throws(() => policy.addHandler('bad', handler as never), typed);
      assert.throws(() => policy.on('meter-changed', handler as never), typed);
      assert.throws(() => (policy.onHandlerError = handler as never), typed);
    }
    assert.throws(() => policy.addHandler(5 as never, () => {}), typed);
    assert.equal(policy.sync.allow('ann', 'tokens', 1), true);
  });
});

describe('an engine that was freed', () => {
  test('throws `closed` whatever is asked of it', async () => {
    const policy = await shop();
    const stop = policy.on('meter-changed', () => {});
    policy.free();
    for (const [method, ...parameters] of METHODS) {
      const given = parameters.map(([, , good]) => good);
      assert.throws(() => (policy.sync as unknown as Methods)[method]!(...given), coded('closed'), method);
      await assert.rejects(async () => (policy as unknown as Methods)[method]!(...given), coded('closed'), method);
    }
    const others: [string, () => unknown][] = [
      ['operation', () => policy.sync.operation('customers', {})],
      ['doc.record', () => policy.doc.record()],
      ['doc.stringify', () => policy.doc.stringify('json')],
      ['addHandler', () => policy.addHandler('late', () => {})],
      ['on', () => policy.on('meter-changed', () => {})],
      ['removeHandler', () => policy.removeHandler('late')],
      ['clearHandlers', () => policy.clearHandlers()],
    ];
    for (const [what, call] of others) assert.throws(call, coded('closed'), what);
    // Cleaning up once more is fine.
    stop();
    policy.free();
    await policy.close();
  });
});

type Methods = Record<string, (...given: unknown[]) => unknown>;

function typed(error: unknown): true {
  assert.ok(error instanceof LimitrError, `${error}`);
  assert.match(error.code, /^[a-z_]+$/);
  assert.ok(error.message.length > 0);
  if (error.code === 'invalid_value' && !(error instanceof LimitrPolicyError))
    assert.ok(error instanceof LimitrValueError);
  return true;
}

function coded(code: string): (error: unknown) => true {
  return (error) => {
    typed(error);
    assert.equal((error as LimitrError).code, code);
    return true;
  };
}

function shown(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 40);
  } catch {
    return String(value);
  }
}
