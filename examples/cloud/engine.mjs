// One instance of a program: a Node process with its own engine, connected to a Limitr server.
//
//     LIMITR_TOKEN=limitr_... LIMITR_WS_ADDRESS=ws://127.0.0.1:7070 LIMITR_TICKET_ADDRESS=http://127.0.0.1:7070 \
//       node engine.mjs [SECONDS]
import { Limitr } from '../../sdk/typescript/dist/node.js';

const CUSTOMERS = ['acme', 'globex', 'initech'];
const seconds = Number(process.argv[2] ?? 5);

const policy = await Limitr.cloud({ token: process.env.LIMITR_TOKEN });
if (!policy) throw new Error('Failed to connect to Limitr Cloud: is the server there, and does it know the token?');
for (const customer of CUSTOMERS) await policy.ensureCustomer(customer, 'growth');

const limit = () => policy.limit('acme', 'ai-chat-input');
console.log(`connected; acme may use ${await limit()} tokens a day`);
policy.on('policy-updated', async () => console.log(`the policy has changed: acme may use ${await limit()} tokens a day`));

let calls = 0;
let tokens = 0;
const end = Date.now() + seconds * 1000;
while (Date.now() < end) {
  const customer = CUSTOMERS[Math.floor(Math.random() * CUSTOMERS.length)];
  const used = 500 + Math.floor(Math.random() * 2500);
  if (await policy.allow(customer, 'ai-chat-input', used)) {
    calls += 1;
    tokens += used;
  }
  await new Promise((resolve) => setTimeout(resolve, 2));
}
// Sends what is left, and waits until it is stored.
await policy.close();
console.log(`${calls} calls allowed, ${tokens} tokens`);
