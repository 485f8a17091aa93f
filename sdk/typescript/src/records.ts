/**
 * What the engine returns: records of customers, the policy's definitions, events' payloads.
 *
 * Field names are those of the policy document. Times are ms since 1970, durations ms, money is in runes, everything else in
 * the credit's unit. A number whose digits no JS number holds is text.
 */

/** A number; text where a JS number would lose digits. */
export type Digits = number | string;

/** A recent call: how much it moved the meter, and when. */
export interface Usage {
  ts: number;
  delta: Digits;
}

/** Room held by a reservation. */
export interface Hold {
  value: Digits;
  overhead: Digits;
  expires_on: number;
  basis?: number;
  segment?: string;
}

/** What was learned of a call's usage. */
export interface LearnedUsage {
  samples: number;
  alpha?: number;
  value_mean: number;
  value_var: number;
  overhead_mean?: number;
  overhead_var?: number;
  source: string;
  updated?: number;
  basis?: string;
}

/** Usage of one entitlement in the current period. */
export interface Meter {
  /** The credit metered. */
  credit: string;
  /** Start of the period. */
  started: number;
  /** Units used. */
  value: Digits;
  /** Runes spent; absent while it is `value x overhead_cost`. */
  overhead?: Digits;
  holds?: Record<string, Hold>;
  estimates?: Record<string, LearnedUsage>;
  /** The last three calls, oldest first. */
  history?: Usage[];
  /** Smoothed rate, units per ms. */
  ewma_rate?: number;
  governor_tokens?: Digits;
  governor_last_refill?: number;
}

/** A balance that covers overage. */
export interface Grant {
  id: string;
  credit: string;
  /** What is left. */
  value: Digits;
  /** What it began with. */
  starting_value: Digits;
  /** The topup it was made from. */
  topup?: string;
  /** Lower is drawn first. */
  priority?: number;
  created_on: number;
  granted_on: number;
  expires_on?: number;
  resets?: boolean;
  reset_inc?: number;
  reset_sch?: string;
  reset_mode?: 'hard' | 'add' | 'rollover';
  rollover_pct?: Digits;
  rollover_min?: Digits;
  rollover_max?: Digits;
  max_balance?: Digits;
  reset_catchup_cap?: number;
  last_reset?: number;
}

/** A ceiling on what calls consume. */
export interface Cap {
  id: string;
  credit: string;
  value: Digits;
  exchangeable: boolean;
  overage_only?: boolean;
  ignore_grants?: boolean;
  observe_only?: boolean;
  overhead_cost?: boolean;
  follow_decrements?: boolean;
  hard_trailing?: boolean;
  shared?: boolean;
  shared_with?: string[];
  scope?: string[];
  resets?: boolean;
  reset_inc?: number;
  reset_sch?: string;
  expires_on?: number;
  /** Spent in the current period. */
  meter_value: Digits;
  created_on: number;
  started: number;
  last_reset?: number;
}

/** What happens past a limit. */
export type Mode = 'hard' | 'soft' | 'observe';

/** How much, in which credit, and what happens past it. */
export interface Limit {
  credit: string;
  mode?: Mode;
  value: Digits;
  increment?: Digits;
  minimum?: Digits;
  hard_trailing?: boolean;
  grants_apply?: boolean;
  resets?: boolean;
  reset_inc?: number;
  reset_sch?: string;
  governor_enabled?: boolean;
  governor_capacity?: Digits;
  governor_refill_rate?: Digits;
  ewma_alpha?: number;
  /** On overrides: when it ends. */
  override_expires_on?: number;
  [extension: `x-${string}`]: unknown;
}

/** A customer's record: who it is, and everything counted for it. */
export interface Customer {
  id: string;
  /** Its own plan; empty when it inherits one. */
  plan: string;
  /** Its type, such as `user` or `org`. */
  type: string;
  label: string;
  alt_ids?: string[];
  refs?: string[];
  /** The application's own data. */
  metadata?: Record<string, unknown>;
  /** Usage, by entitlement. */
  meters: Record<string, Meter>;
  /** Balances, by id. */
  grants: Record<string, Grant>;
  /** Limits of its own, by entitlement. */
  overrides?: Record<string, Limit>;
  /** Ceilings, by id. */
  caps?: Record<string, Cap>;
  /** What it was told once: by notification, then entitlement, the start of the period; for `ever` when that was. */
  notified?: Record<string, Record<string, number>>;
  /** Outcomes remembered under idempotency keys. */
  idempotency?: Record<string, unknown>;
}

/** An amount of runes. */
export interface Price {
  amount: Digits;
  id?: string;
  [extension: `x-${string}`]: unknown;
}

/** What is measured, what it costs and what it is sold for. */
export interface Credit {
  unit: string;
  label: string;
  description: string;
  stof_units: string;
  resets?: boolean;
  overhead_cost?: Digits;
  /** What a call costs, in runes, instead: an expression. */
  overhead?: string;
  pricing_model: 'flat' | 'tiered' | 'volume' | 'stairstep';
  price?: Price;
  tiers?: { up_to?: Digits; price: Price }[];
  /** Free data, for expressions. */
  data?: unknown;
  [extension: `x-${string}`]: unknown;
}

/** A feature flag, or with a limit a metered right. */
export interface Entitlement {
  description?: string;
  hidden?: boolean;
  /** Customer type whose meter is used. */
  scope?: string;
  limit?: Limit;
  estimate_basis?: string;
  estimate_segment?: string;
  [extension: `x-${string}`]: unknown;
}

/** A balance that can be granted. */
export interface Topup {
  description?: string;
  credit: string;
  value: Digits;
  price?: Price;
  included?: boolean;
  included_scopes?: string[];
  resets?: boolean;
  reset_inc?: number;
  reset_sch?: string;
  reset_mode?: 'hard' | 'add' | 'rollover';
  rollover_pct?: Digits;
  rollover_min?: Digits;
  rollover_max?: Digits;
  max_balance?: Digits;
  reset_catchup_cap?: number;
  expires_after?: number;
  priority?: number;
  [extension: `x-${string}`]: unknown;
}

/** What a customer of the plan gets. */
export interface Plan {
  /** Its name; in answers of {@link SyncLimitr.plan} and {@link SyncLimitr.defaultPlan}. */
  id?: string;
  label?: string;
  default?: boolean;
  hidden?: boolean;
  period?: PlanPeriod;
  subscription?: string;
  /** Delay before the subscription is charged, ms. */
  trial_period?: number;
  entitlements: Record<string, Entitlement>;
  topups?: Record<string, Topup>;
  [extension: `x-${string}`]: unknown;
}

/** A plan's billing period. */
export type PlanPeriod = 'yearly' | 'monthly' | 'weekly' | 'daily';

/** An alert: what it looks at, when it matches, what it says. */
export interface Notification {
  /** The events it looks at; without it every meter and cap event. */
  on?: string[];
  /** When it matches, an expression; without it always. */
  when?: string;
  /** Whether it is sent once for each customer and entitlement: in a period, or at all. Default `none`: always. */
  once?: 'none' | 'period' | 'ever';
  /** Default `info`. */
  severity?: Severity;
  /** What it says, with expressions in braces. */
  message?: string;
  /** Channels of the server that it goes to; without them it is an event of the engine. */
  to?: string[];
  [extension: `x-${string}`]: unknown;
}

/** How bad what a notification says is. */
export type Severity = 'info' | 'warning' | 'critical';

/** Logic of the policy that programs and language models can call. */
export interface Capability {
  /** Its name as a tool, instead of its name in the policy. */
  name?: string;
  /** What it does, for whoever decides to call it. */
  description?: string;
  version?: string;
  parameters?: Parameter[];
  /** Plans whose customers may call it; without it all. */
  plans?: string[];
  /** Ids of customers who may call it; without it all. */
  customers?: string[];
  /** What it answers, an expression. */
  result: string;
  [extension: `x-${string}`]: unknown;
}

/** What a capability takes. */
export interface Parameter {
  name: string;
  /** What it is for. */
  description?: string;
  /** Default `string`. */
  type?: ParameterType;
  /** Whether it must be given. */
  required?: boolean;
  [extension: `x-${string}`]: unknown;
}

/** The type of a parameter, as JSON Schema names it. */
export type ParameterType = 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object';

/** A capability as a tool of the Anthropic Messages API. */
export interface Tool {
  name: string;
  description: string;
  input_schema: {
    type: 'object';
    properties: Record<string, { type: ParameterType; description?: string }>;
    required: string[];
  };
}

/** The block of a message in which a language model calls a tool. */
export interface ToolUse {
  type: 'tool_use';
  id: string;
  name: string;
  input?: unknown;
}

/** The block that answers a {@link ToolUse}. */
export interface ToolResult {
  type: 'tool_result';
  tool_use_id: string;
  /** Text as it is, other results as JSON; with `is_error` what went wrong. */
  content: string;
  is_error?: true;
}

/** The policy document: the contents of its `policy` key. */
export interface PolicyDocument {
  credits?: Record<string, Credit>;
  plans?: Record<string, Plan>;
  exchange?: Record<string, unknown>;
  notifications?: Record<string, Notification>;
  capabilities?: Record<string, Capability>;
  /** Usage learned elsewhere: by entitlement, then segment. */
  estimates?: Record<string, Record<string, LearnedUsage>>;
  /** How long an unsettled reservation holds room, ms. */
  hold_ttl?: number;
  /** Samples before a customer's own estimate is used. */
  estimate_min_samples?: number;
  [extension: `x-${string}`]: unknown;
}

/** Why a call was denied. */
export type Denial =
  | 'unknown_customer'
  | 'unknown_entitlement'
  | 'no_scope_customer'
  | 'invalid_value'
  | 'cap'
  | 'governor'
  | 'limit'
  | 'disconnected';

/** The outcome of a call. */
export interface Decision {
  /** Whether the call may go ahead. */
  allowed: boolean;
  /** Why not. */
  reason?: Denial;
  /** What is left of the limit, without grants; negative past a soft limit. */
  remaining?: Digits;
  /** When the limit's period ends. */
  resets_at?: number;
  /** In how many ms the same call may pass, as far as time alone decides that. */
  retry_after?: number;
  /** Units metered; 0 when denied. */
  metered: Digits;
  /** Units past the limit to bill, after grants; 0 when denied. */
  overage: Digits;
  /** Units that grants covered; 0 when denied. */
  covered: Digits;
}

/** A decision and every step that led to it. */
export interface Explanation extends Decision {
  steps: { rule: string; found: string; numbers?: Record<string, Digits> }[];
}

/** What a call is expected to need. */
export interface Estimate {
  value: number;
  overhead: number;
  samples: number;
  source: string;
  scope: string;
}

/** Revenue, cost and margin, in runes. */
export interface Margin {
  revenue: number;
  cost: number;
  margin: number;
  /** Margin in percent of revenue; absent without revenue. */
  margin_pct?: number;
}

/** Margin in total and by entitlement. */
export interface MarginSnapshot extends Margin {
  entitlements: Record<string, Margin>;
}

/** What was charged and spent between start and capture. */
export interface MarginMeasurement {
  charged: number;
  costs: number;
  /** Margin in percent of what was charged; null when nothing was. */
  margin: number | null;
  raw_margin: number;
}

/** One difference between two policies. */
export interface Change {
  /** What changed: `plans.pro.entitlements.chat.limit.value`. */
  path: string;
  before?: unknown;
  after?: unknown;
}

/** Payload of the meter events. */
export interface MeterEvent {
  meter: {
    /** Before the call; absent when denied. */
    old?: number;
    value: number;
    limit: number;
    /** What a denied call would have led to. */
    invalid?: number;
    diff: number;
    overhead: number;
    overhead_diff: number;
    price_diff: number | null;
  };
  customer: Customer;
  entitlement: string;
  plan: string;
  credit: Credit;
  /** Limit minus value, without grants. */
  remaining: number;
  event_data: unknown;
  /** Units that grants covered. */
  grant_value_applied?: number;
}

/** The names of the engine's events. A policy's own notifications come under their own names. */
export type LimitrEvent = keyof EventPayloads;

/** What each event carries. */
export interface EventPayloads {
  'meter-reset': MeterEvent;
  'meter-changed': MeterEvent;
  'meter-overage': MeterEvent & { overage: number; overage_price: number | null };
  'meter-limit': MeterEvent & { overage: number; invalid_value: number };
  'meter-governed': MeterEvent & {
    invalid_value: number;
    governor: { tokens: number; capacity: number; requested: number };
  };
  'cap-limit': MeterEvent & { invalid_value: number; cap: Cap; caller: Customer };
  'cap-threshold-crossed': { cap: Cap; customer: Customer; caller: Customer; entitlement: string };
  'customer-cap-added': { cap: Cap; customer: Customer };
  'customer-cap-reset': { cap: Cap; customer: Customer };
  'customer-cap-removed': { cap: Cap; customer: Customer };
  'customer-set': Customer;
  'customer-removed': Customer;
  'customer-plan-changed': { customer: Customer; plan: string; previous_plan: string | null };
  'customer-topup-granted': { customer: Customer; topup: string; grant: Grant };
  'plan-set': { plan: string; definition: Plan };
  'plan-removed': { plan: string; definition: Plan };
  'policy-updated': { changes: Change[] };
  'logic-error': LogicErrorEvent;
  /** The connection to the server is there again; `engine` is this engine's id there. */
  'cloud-connected': { engine: string };
  /** It is gone, and is made again by itself. */
  'cloud-disconnected': { reason: string };
  /** The server did not take some of what was sent. It is not sent again. */
  'cloud-refused': { refused: Refusal[] };
  /** An attempt to connect failed, or the server said that something is wrong. */
  'cloud-error': CloudErrorEvent;
}

/** Payload of `cloud-error`: a {@link LimitrError} as data. */
export interface CloudErrorEvent {
  /** Stable code, for example `cannot_connect`. */
  code: string;
  message: string;
  /** What it is about. */
  path?: string | undefined;
  /** What to do about it. */
  hint?: string | undefined;
}

/** Something that happened here and that the server did not take. */
export interface Refusal {
  /** Its number among what this engine has sent. */
  entry: number;
  /** Stable code. */
  code: string;
  /** What is wrong with it. */
  message: string;
}

/** Payload of `logic-error`: an expression gave no result, and its fallback was used. */
export interface LogicErrorEvent {
  /** Where it stands: `policy.credits.token.overhead`. */
  path: string;
  /** Its text. */
  expression: string;
  /** Why there was no result. */
  message: string;
  /** Line in its text, from 1. */
  line?: number;
  /** Column in its text, from 1. */
  column?: number;
  /** The customer it was run for. */
  customer?: Customer;
  /** The entitlement it was run for. */
  entitlement?: string;
}

/** What a notification says. */
export interface Notice {
  /** The notification's name. */
  name: string;
  severity: Severity;
  /** Its message, filled in. */
  message: string;
  /** The event it matched. */
  event: LimitrEvent;
}

/**
 * Payload of a notification's own event: what it says, beside the payload of the event it matched. Which fields that has
 * depends on the event.
 */
export interface NotificationPayload
  extends Partial<EventPayloads['meter-overage']>,
    Partial<EventPayloads['meter-governed']>,
    Partial<EventPayloads['cap-limit']>,
    Partial<EventPayloads['customer-set']>,
    Partial<EventPayloads['customer-plan-changed']>,
    Partial<EventPayloads['customer-topup-granted']>,
    Partial<EventPayloads['plan-set']>,
    Partial<EventPayloads['policy-updated']>,
    Partial<EventPayloads['logic-error']> {
  notification: Notice;
}
