/** What else answers "may this customer do that?" in a Node program, doing its nearest equivalent of one call. */
import { Redis } from 'ioredis';
import { RateLimiterMemory } from 'rate-limiter-flexible';

import { measureAwaited } from './measure.js';

/** Counts of every key within a day, in this process; nobody is denied, and everybody. */
export function memoryLimiter(keys) {
  const duration = 86_400;
  const open = new RateLimiterMemory({ keyPrefix: 'open', points: Number.MAX_SAFE_INTEGER, duration });
  const shut = new RateLimiterMemory({ keyPrefix: 'shut', points: 0, duration });
  // Denied is a rejection there: a program has to catch it.
  const denied = () => false;
  for (const key of keys.all()) void open.consume(key);
  return { consume: (key) => open.consume(key), consumeDenied: (key) => shut.consume(key).catch(denied) };
}

/** `INCR` on a Redis server of this machine: what a counter kept outside of the process costs at the least. */
export async function incrAwaited(effort, keys) {
  const redis = new Redis({
    host: '127.0.0.1',
    port: 6379,
    keyPrefix: 'limitr-bench:',
    lazyConnect: true,
    connectTimeout: 1_000,
    retryStrategy: () => null,
  });
  redis.on('error', () => {}); // The connection's own promise tells.
  try {
    await redis.connect();
  } catch {
    return { skipped: 'no server on 127.0.0.1:6379' };
  }
  try {
    return await measureAwaited(effort, () => redis.incr(keys.next()));
  } finally {
    await redis.del(...keys.all());
    redis.disconnect();
  }
}
