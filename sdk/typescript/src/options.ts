import type { Cap, Limit } from './records.js';
import type { Amount } from './values.js';

/** A format of policy documents. Reading `stof` takes the entry `limitr/stof`; both write it. */
export type Format = 'yaml' | 'json' | 'toml' | 'stof';

/** What can be said about a call beside its amount. */
export interface CallOptions {
  /** `true` sends the call's events, `false` sends none, anything else goes to handlers as `event_data`. */
  event?: unknown;
  /** What the call costs the provider, in runes, instead of the credit's rate. */
  overhead?: Amount;
  /** Ceilings for this call alone: of credit to ceiling, or whole caps. */
  caps?: Record<string, Amount> | CapOptions[];
  /** Records usage that has already happened: caps and governor do not deny, a hard limit bills like a soft one. */
  force?: boolean;
  /** Retries with the same key and arguments count once, within 24 hours. */
  idempotencyKey?: string;
}

/** `true`, `false`, data for handlers, or {@link CallOptions}: an object that has only their fields is taken for them. */
export type EventOrOptions = unknown;

/** A cap's fields, in the policy document's names; the credit is `rune` by default. */
export interface CapOptions
  extends Partial<Omit<Cap, 'value' | 'reset_inc' | 'meter_value' | 'created_on' | 'started' | 'last_reset'>> {
  value?: Amount;
  reset_inc?: number | string;
  /** Whether `customer-cap-added` is sent; default true. */
  events?: boolean;
}

/** A limit's fields for one customer, in the policy document's names; what is unset is copied from the limit in force. */
export type OverrideOptions = { [K in keyof Limit]?: Limit[K] | string };

/** What a reservation holds room for. */
export interface ReserveOptions {
  /** Room to hold; without it the predicted amount. */
  value?: Amount;
  /** Data that predictions and cost expressions read. */
  context?: Record<string, unknown>;
  /** What usage is learned per unit of. */
  basis?: number;
  /** What usage is learned under. */
  segment?: string;
  /** How long it holds, ms or text such as `"5min"`; default the policy's `hold_ttl`. */
  ttl?: number | string;
  /** How careful the prediction is, 0 to 1; default 0.9. */
  quantile?: number;
  /** Runes to hold. */
  overhead?: Amount;
}

/** What a prediction is asked for. */
export type EstimateOptions = Pick<ReserveOptions, 'quantile' | 'context' | 'basis' | 'segment'>;

/** What is learned beside the amount. */
export type ObserveOptions = Pick<ReserveOptions, 'context' | 'basis' | 'segment' | 'overhead'>;

/** Usage of one entitlement to compute a margin for. */
export type PlanUsage = Amount | { value: Amount; limit?: Amount; overhead?: number; context?: Record<string, unknown> };
