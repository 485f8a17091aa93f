import { Limitr } from 'limitr';

interface Environment {
  ADDRESS: string;
}

export default {
  // One connection for one request, which shows that it works; a Durable Object would keep it.
  async fetch(_: Request, { ADDRESS }: Environment): Promise<Response> {
    const policy = await Limitr.cloud({ token: 'limitr_test', wsAddress: ADDRESS });
    const created = await policy?.ensureCustomer('ada', 'growth');
    const allowed = await policy?.allow('ada', 'chat', 40);
    const remaining = await policy?.remaining('ada', 'chat');
    return Response.json({ connected: policy?.connected, created, allowed, remaining, stored: await policy?.close() });
  },
};
