import type { Store } from '../persist.js';
import type { Customer } from '../records.js';

/** What is asked of a Redis client; `ioredis` clients have it, and `redis` (node-redis) clients under `hSet` and so on. */
export interface RedisClient {
  hgetall?(key: string): Promise<Record<string, string>>;
  hset?(key: string, fields: Record<string, string>): Promise<unknown>;
  hdel?(key: string, ...fields: string[]): Promise<unknown>;
  hGetAll?(key: string): Promise<Record<string, string>>;
  hSet?(key: string, fields: Record<string, string>): Promise<unknown>;
  hDel?(key: string, fields: string[]): Promise<unknown>;
}

/** Keeps customers in one Redis hash, a field each. */
export function redisStore(client: RedisClient, key = 'limitr:customers'): Store {
  const missing = (): never => {
    throw new TypeError('redisStore needs a client of `ioredis` or `redis`');
  };
  return {
    async load() {
      const records = await (client.hgetall?.(key) ?? client.hGetAll?.(key) ?? missing());
      return Object.values(records).map((record): Customer => JSON.parse(record));
    },
    async save(customers) {
      const fields = Object.fromEntries(customers.map((customer) => [customer.id, JSON.stringify(customer)]));
      await (client.hset?.(key, fields) ?? client.hSet?.(key, fields) ?? missing());
    },
    async remove(ids) {
      await (client.hdel?.(key, ...ids) ?? client.hDel?.(key, ids) ?? missing());
    },
  };
}
