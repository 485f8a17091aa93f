import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Denial, Limitr } from 'limitr';

/** What the customer cannot mend by waiting is no 429. */
const STATUS: Partial<Record<Denial, number>> = { unknown_customer: 401, unknown_entitlement: 403 };

/**
 * A hook for routes: counts the call, or ends it with the reason and how long to wait.
 *
 * Deciding and counting is one step, so calls that arrive together cannot pass a limit together.
 */
export function metered(policy: Limitr, entitlement: string, value = 1) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | void> => {
    const { customer } = request;
    const allowed = policy.sync.allow(customer, entitlement, value);
    // Asked at once: by the time that a promise has come back there may be room again.
    const why = allowed ? undefined : policy.sync.explain(customer, entitlement, value);
    await describeLimit(policy, customer, entitlement, reply);
    if (why === undefined) return;

    const { reason, remaining, retry_after } = why;
    if (retry_after !== undefined) reply.header('retry-after', Math.ceil(retry_after / 1000));
    const status = (reason && STATUS[reason]) ?? 429;
    return reply.code(status).send({ error: 'not allowed', reason, remaining, retry_after_ms: retry_after });
  };
}

/** Tells clients where they stand, in the header names that rate-limited APIs commonly use. */
async function describeLimit(
  policy: Limitr,
  customer: string,
  entitlement: string,
  reply: FastifyReply,
): Promise<void> {
  const limit = await policy.limit(customer, entitlement);
  const remaining = await policy.remaining(customer, entitlement);
  const resets = await policy.resets(customer, entitlement);
  if (limit !== null) reply.header('ratelimit-limit', limit);
  if (remaining !== null) reply.header('ratelimit-remaining', Math.max(0, remaining));
  if (resets !== null) reply.header('ratelimit-reset', Math.ceil((resets - Date.now()) / 1000));
}
