import fastify, { type FastifyInstance } from 'fastify';
import type { Limitr } from 'limitr';

import { metered } from './metered.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls: the customer's id. */
    customer: string;
  }
}

/** API keys, with the customer and the plan that each stands for. An application has them in its database. */
const KEYS: Record<string, { customer: string; plan: string }> = {
  'key-ada': { customer: 'ada', plan: 'free' },
  'key-bob': { customer: 'bob', plan: 'free' },
  'key-corp': { customer: 'corp', plan: 'pro' },
};

/** The API. Closing it closes the policy, which saves what is not saved yet. */
export function createApp(policy: Limitr): FastifyInstance {
  const app = fastify();
  app.decorateRequest('customer', '');
  app.addHook('onClose', () => policy.close());

  app.addHook('onRequest', async (request, reply) => {
    const key = KEYS[request.headers.authorization?.replace(/^Bearer /, '') ?? ''];
    if (key === undefined) return reply.code(401).send({ error: 'unknown API key' });
    await policy.ensureCustomer(key.customer, key.plan);
    request.customer = key.customer;
  });

  app.get('/quotes/:symbol', { preHandler: metered(policy, 'quotes') }, async (request) => {
    const { symbol } = request.params as { symbol: string };
    return { symbol, price: 100 + symbol.length };
  });

  app.post('/reports', { preHandler: metered(policy, 'reports', 10) }, async () => ({ report: 'ready' }));

  app.get('/usage', async ({ customer }) => {
    const plan = await policy.plan(customer);
    const used = await policy.value(customer, 'quotes');
    return { customer, plan: plan?.label, quotes: { used, limit: await policy.limit(customer, 'quotes') } };
  });

  return app;
}
