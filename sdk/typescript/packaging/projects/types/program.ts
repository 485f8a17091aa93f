// What a strict program sees of the package. It is compiled, not run.
import {
  fileStore,
  Limitr,
  LimitrError,
  LimitrPolicyError,
  memoryStore,
  postgresStore,
  redisStore,
  type Customer,
  type Explanation,
  type MeterEvent,
  type Store,
} from 'limitr';

const policy: Limitr = await Limitr.new({ plans: {}, credits: {} });

const stop: () => void = policy.on('meter-overage', (payload) => {
  const units: number = payload.overage;
  const price: number | null = payload.overage_price;
  const common: MeterEvent = payload;
  console.log(common.customer.id, units, price);
});
policy.on('customer-plan-changed', ({ customer, plan, previous_plan }) => {
  const was: string | null = previous_plan;
  console.log(customer.id, plan, was);
});
policy.addHandler('log', (key: string, value: string) => console.log(key, JSON.parse(value)));
stop();

const allowed: boolean = await policy.allow('ada', 'chat', '1.5GB', { idempotencyKey: 'request-1', force: false });
const decision: Explanation = await policy.explain('ada', 'chat', 1);
if (!allowed && decision.reason === 'governor') console.log(decision.retry_after?.toFixed());
const hold: string | null = await policy.reserve('ada', 'chat', { basis: 120, ttl: '5min' });
const settled: boolean = policy.sync.settle('ada', 'chat', hold, 3);
const ada: Customer | undefined = await policy.customer('ada');
console.log(settled, ada?.meters['chat']?.value);

const own: Store = {
  load: async () => [],
  save: async (customers) => console.log(customers.map(({ id }) => id)),
  remove: async (ids) => console.log(ids.join()),
};
const redis = { hgetall: async () => ({}), hset: async () => 1, hdel: async () => 1 };
const stores: Store[] = [
  own,
  memoryStore(),
  fileStore('state'),
  redisStore(redis),
  postgresStore({ query: async () => ({ rows: [] }) }),
];
for (const store of stores) await policy.persist(store, { mode: 'interval', intervalMs: 1000, onError: () => {} });

try {
  await Limitr.new('policy: {}', 'toml');
} catch (error) {
  if (error instanceof LimitrPolicyError) for (const { code, line } of error.problems) console.log(code, line ?? 0);
  else if (error instanceof LimitrError) console.log(error.code, error.hint);
}
console.log(Object.keys(policy.doc.record().policy.plans ?? {}), policy.doc.stringify('yaml'));
await policy.close();
