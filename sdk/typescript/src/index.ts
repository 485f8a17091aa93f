/**
 * Usage limits, metering and pricing decided in-process from one policy document.
 *
 * @packageDocumentation
 */
export type { CloudOptions } from './cloud/options.js';
export { LimitrError, LimitrPolicyError, LimitrValueError, type ErrorDetails, type Problem } from './errors.js';
export type { Handler, HandlerErrorReporter } from './events.js';
export { Limitr, type NotificationName, type Operations, type PolicyDoc } from './limitr.js';
export type {
  CallOptions,
  CapOptions,
  EstimateOptions,
  EventOrOptions,
  Format,
  ObserveOptions,
  OverrideOptions,
  PlanUsage,
  ReserveOptions,
} from './options.js';
export type { PersistOptions, Store, Stored } from './persist.js';
export type * from './records.js';
export { memoryStore } from './stores/memory.js';
export { postgresStore, type PostgresPool } from './stores/postgres.js';
export { redisStore, type RedisClient } from './stores/redis.js';
export type { SyncLimitr } from './sync.js';
export type { Amount } from './values.js';
