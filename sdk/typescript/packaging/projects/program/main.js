// One program for every runtime with files: it prints what happened as JSON.
import { fileStore, Limitr, LimitrPolicyError, LimitrValueError } from 'limitr';

const POLICY = `
policy:
  credits:
    call: { stof_units: int, overhead_cost: 0.002, price: { amount: 0.01 } }
  plans:
    free:
      default: true
      entitlements:
        chat: { limit: { credit: call, value: 3, resets: true, reset_inc: 1day } }
`;

const first = await Limitr.new(POLICY);
const events = [];
first.on('meter-limit', ({ customer, meter }) => events.push(`${customer.id} ${meter.value}/${meter.limit}`));
await first.persist(fileStore('state'), { mode: 'interval' });
await first.createCustomer('ada');
const decisions = [];
for (let call = 0; call < 4; call += 1) decisions.push(await first.allow('ada', 'chat', 1));
const { reason } = await first.explain('ada', 'chat', 1);
await first.close();

const second = await Limitr.new(POLICY);
await second.persist(fileStore('state'));
const restored = await second.remaining('ada', 'chat');

const problems = await Limitr.new('policy: { plans: { free: { defualt: true } } }').catch((error) =>
  error instanceof LimitrPolicyError ? error.problems.map(({ code }) => code) : error,
);
const refused = await second.allow('ada', 'chat', NaN).catch((error) => error instanceof LimitrValueError);
await second.close();

console.log(JSON.stringify({ decisions, reason, events, restored, problems, refused }));
