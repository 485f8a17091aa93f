/** What one call takes, in its variants, with the peers' nearest equivalents. */
import { Limitr } from 'limitr';

import { Keys } from './keys.js';
import { measure, measureAwaited } from './measure.js';
import { incrAwaited, memoryLimiter } from './peers.js';
import { CUSTOMERS, LOGIC, policyText } from './policy.js';

/** An engine with customers on `plan`, whose calls answer `allowed`. */
export async function engine(plan, keys, allowed, logic) {
  const policy = await Limitr.new(policyText(1, 'yaml', logic));
  for (const key of keys.all()) {
    policy.sync.createCustomer(key, plan);
    if (policy.sync.allow(key, 'chat', 1) !== allowed) throw new Error(`\`${key}\` was not answered ${allowed}`);
  }
  return policy;
}

export async function measureCalls(table, effort) {
  table.group(`one call, ${CUSTOMERS.toLocaleString('en-US')} customers at random`);
  const keys = new Keys(CUSTOMERS);
  const next = () => keys.next();

  const { consume, consumeDenied } = memoryLimiter(keys);
  table.reference('rate-limiter-flexible in memory, consume', await measureAwaited(effort, () => consume(next())));

  const policy = await engine('plan-0', keys, true);
  const { sync } = policy;
  const within = await measureAwaited(effort, () => policy.allow(next(), 'chat', 1));
  table.time('await policy.allow, within the limit', within, 1_500);
  table.time('policy.sync.allow, within the limit', await measure(effort, () => sync.allow(next(), 'chat', 1)), 1_000);
  table.time('await policy.check', await measureAwaited(effort, () => policy.check(next(), 'chat', 1)));
  table.time('await policy.allow, feature flag', await measureAwaited(effort, () => policy.allow(next(), 'beta')));
  table.time('await policy.increment', await measureAwaited(effort, () => policy.increment(next(), 'chat')));
  table.time('await policy.remaining', await measureAwaited(effort, () => policy.remaining(next(), 'chat')));
  const asText = await measureAwaited(effort, () => policy.allow(next(), 'chat', '1'));
  table.time('await policy.allow, value as text', asText);

  const spent = await engine('spent', keys, false);
  table.time('await policy.allow, denied', await measureAwaited(effort, () => spent.allow(next(), 'chat', 1)));
  table.time('policy.sync.allow, denied', await measure(effort, () => spent.sync.allow(next(), 'chat', 1)));
  table.time('rate-limiter-flexible in memory, denied', await measureAwaited(effort, () => consumeDenied(next())));

  let heard = 0;
  policy.addHandler('bench', (key, value) => {
    heard += value.length;
  });
  const handled = await measureAwaited(effort, () => policy.allow(next(), 'chat', 1));
  table.time('await policy.allow, a handler gets the JSON', handled, 10_000);
  policy.clearHandlers();
  policy.on('meter-changed', (payload) => {
    heard += payload.meter.value;
  });
  const parsed = await measureAwaited(effort, () => policy.allow(next(), 'chat', 1));
  table.time('await policy.allow, on() gets it parsed', parsed);
  if (heard === 0) throw new Error('the handlers heard nothing');
  policy.free();
  spent.free();
  await measureLogic(table, effort, keys);

  const redis = await incrAwaited(effort, keys);
  if (redis.skipped === undefined) table.time('INCR through ioredis, loopback', redis);
  else table.skipped('INCR through ioredis, loopback', redis.skipped);
}

/** Beside the rows above: the first is compared with a value as text, the second with a handler that gets the JSON. */
async function measureLogic(table, effort, keys) {
  const next = () => keys.next();
  const events = [];

  const costed = await engine('plan-0', keys, true, LOGIC.cost);
  const data = { model: 'small' };
  costed.on('logic-error', (error) => events.push(error));
  costed.sync.allow(next(), 'chat', 1, data);
  costed.clearHandlers();
  const cost = await measureAwaited(effort, () => costed.allow(next(), 'chat', 1, data));
  table.time('await policy.allow, cost expression, event data', cost);
  costed.free();

  const alerted = await engine('plan-0', keys, true, LOGIC.alert);
  let heard = 0;
  alerted.addHandler('bench', (key, value) => {
    heard += value.length;
    if (key !== 'meter-changed') events.push(key);
  });
  const alert = await measureAwaited(effort, () => alerted.allow(next(), 'chat', 1));
  table.time('await policy.allow, notification does not match', alert);
  if (heard === 0) throw new Error('the handler heard nothing');
  alerted.free();

  const asked = await engine('plan-0', keys, true, LOGIC.capability);
  const tokens = { tokens: 1 };
  if ((await asked.runCapability('can_afford', tokens, next())) !== true) throw new Error('the capability denies');
  const capability = await measureAwaited(effort, () => asked.runCapability('can_afford', tokens, next()));
  table.time('await policy.runCapability, asks check()', capability);
  asked.free();
  if (events.length > 0) throw new Error(`something else happened: ${JSON.stringify(events)}`);
}
