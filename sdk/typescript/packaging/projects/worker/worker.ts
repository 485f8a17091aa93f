import { Limitr } from 'limitr';

const POLICY = {
  credits: { call: { stof_units: 'int' } },
  plans: {
    free: {
      default: true,
      entitlements: { api: { limit: { credit: 'call', value: 2, resets: true, reset_inc: '1min' } } },
    },
  },
};

// Made by the first request: outside of requests a worker has no randomness.
let policy: Promise<Limitr> | undefined;

export default {
  async fetch(request: Request): Promise<Response> {
    const limits = await (policy ??= Limitr.new(POLICY));
    const user = new URL(request.url).searchParams.get('user') ?? 'anonymous';
    await limits.ensureCustomer(user);
    if (await limits.allow(user, 'api', 1)) return Response.json({ remaining: await limits.remaining(user, 'api') });
    const { reason, retry_after = 0 } = await limits.explain(user, 'api', 1);
    const headers = { 'retry-after': String(Math.ceil(retry_after / 1000)) };
    return Response.json({ reason }, { status: 429, headers });
  },
};
