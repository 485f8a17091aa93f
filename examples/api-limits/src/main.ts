import { readFile } from 'node:fs/promises';

import { fileStore, Limitr } from 'limitr';

import { createApp } from './app.ts';

const policy = await Limitr.new(await readFile(new URL('../policy.yaml', import.meta.url), 'utf8'));
// Counts survive restarts: customers are loaded here, and saved every second and on close.
await policy.persist(fileStore(process.env['STATE'] ?? 'state'), { intervalMs: 1000 });
policy.on('meter-overage', ({ customer, overage, overage_price }) => {
  console.log(`bill ${customer.id}: ${overage} calls past the limit, $${overage_price}`);
});

const app = createApp(policy);
console.log(`listening on ${await app.listen({ port: Number(process.env['PORT'] ?? 3000) })}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Lets calls under way finish, then saves: the process ends by itself.
  process.once(signal, () => void app.close());
}
