import { at, callArguments, capAt, customerId, entitlementName, holdId, newCustomer, share, whom } from './arguments.js';
import { fromEngine, LimitrError } from './errors.js';
import { Handlers } from './events.js';
import type { CapOptions, EstimateOptions, EventOrOptions, Format, ObserveOptions, OverrideOptions, PlanUsage, ReserveOptions } from './options.js';
import { printable } from './printable.js';
import type {
  Cap,
  Capability,
  Change,
  Credit,
  Customer,
  Entitlement,
  Estimate,
  Explanation,
  Limit,
  MarginMeasurement,
  MarginSnapshot,
  Meter,
  Notification,
  Plan,
  PlanPeriod,
  PolicyDocument,
  Tool,
  ToolResult,
  ToolUse,
} from './records.js';
import type { Named, Remote } from './remote.js';
import { amount, type Amount, finite, flag, json, record, text, texts } from './values.js';
import type { Engine } from './wasm.js';

const ALLOWED = 1;
const EVENTS = 2;

/**
 * The engine, synchronously: `policy.sync`. Every method answers at once and either has happened or has not.
 *
 * {@link Limitr} has the same methods as promises. Names and ids are text; amounts are in the credit's unit, or text with a
 * unit. What is missing reads as `null` (records: `undefined`), or does nothing and returns `false`.
 */
export class SyncLimitr {
  #engine: Engine | undefined;
  readonly #handlers: Handlers;
  readonly #remote: Remote | undefined;

  /** @internal */
  constructor(engine: Engine, handlers: Handlers, remote?: Remote) {
    this.#engine = engine;
    this.#handlers = handlers;
    this.#remote = remote;
  }

  // Enforcement

  /**
   * Decides whether a customer may consume `value` of an entitlement, and meters it in the same operation.
   *
   * `value` 0 is an access check, a negative one gives back. Unknown customers and entitlements are denied;
   * {@link SyncLimitr.explain} tells why.
   *
   * @throws {@link LimitrValueError} for values that are no amounts. Nothing is changed.
   */
  allow(customer: string, entitlement: string, value: Amount = 0, eventOrOptions: EventOrOptions = true): boolean {
    if (typeof value === 'number' && eventOrOptions === true) {
      const engine = this.#live();
      const id = customerId(customer);
      const name = entitlementName(entitlement);
      const units = finite(value, 'value');
      return this.#remote?.denies !== true && this.#outcome(engine.allow(id, name, units, Date.now()), id);
    }
    return this.#call('allow', callArguments(customer, entitlement, value, eventOrOptions));
  }

  /** What {@link SyncLimitr.allow} would say, changing nothing. */
  check(customer: string, entitlement: string, value: Amount = 0, eventOrOptions: EventOrOptions = true): boolean {
    if (typeof value === 'number' && eventOrOptions === true) {
      const engine = this.#live();
      const id = customerId(customer);
      const name = entitlementName(entitlement);
      const units = finite(value, 'value');
      return this.#remote?.denies !== true && this.#outcome(engine.check(id, name, units, Date.now()), id);
    }
    return this.#call('check', callArguments(customer, entitlement, value, eventOrOptions));
  }

  /** {@link SyncLimitr.allow} of the limit's increment (1 unless the policy says otherwise). */
  increment(customer: string, entitlement: string, eventOrOptions: EventOrOptions = true): boolean {
    if (eventOrOptions === true) {
      const engine = this.#live();
      const id = customerId(customer);
      const name = entitlementName(entitlement);
      return this.#remote?.denies !== true && this.#outcome(engine.increment(id, name, Date.now()), id);
    }
    return this.#call('increment', callArguments(customer, entitlement, undefined, eventOrOptions));
  }

  /** Gives back the limit's increment. */
  decrement(customer: string, entitlement: string, eventOrOptions: EventOrOptions = true): boolean {
    if (eventOrOptions === true) {
      const engine = this.#live();
      const id = customerId(customer);
      const name = entitlementName(entitlement);
      return this.#remote?.full !== true && this.#outcome(engine.decrement(id, name, Date.now()), id);
    }
    return this.#call('decrement', callArguments(customer, entitlement, undefined, eventOrOptions));
  }

  /** What {@link SyncLimitr.increment} would say, changing nothing. */
  checkIncrement(customer: string, entitlement: string): boolean {
    return this.#call('check_increment', at(customer, entitlement));
  }

  /** What {@link SyncLimitr.decrement} would say, changing nothing. */
  checkDecrement(customer: string, entitlement: string): boolean {
    return this.#call('check_decrement', at(customer, entitlement));
  }

  /** {@link SyncLimitr.allow} of whatever brings the meter to `value`. */
  set(customer: string, entitlement: string, value: Amount, eventOrOptions: EventOrOptions = true): boolean {
    return this.#call('set', callArguments(customer, entitlement, amount(value, 'value'), eventOrOptions));
  }

  /** What {@link SyncLimitr.allow} would say and why, with what is left and when to retry, changing nothing. */
  explain(
    customer: string,
    entitlement: string,
    value: Amount = 0,
    eventOrOptions: EventOrOptions = true,
  ): Explanation {
    return this.#call('explain', callArguments(customer, entitlement, value, eventOrOptions));
  }

  // Reservations

  /**
   * Holds room for a call whose amount is known only afterwards. Returns the hold's id for {@link SyncLimitr.settle} or
   * {@link SyncLimitr.release}; null when there is no room. Held room is never billed.
   */
  reserve(customer: string, entitlement: string, options: ReserveOptions = {}): string | null {
    return this.#call('reserve', { ...record(options, 'options'), ...at(customer, entitlement) });
  }

  /** Drops the hold and records what happened instead, even past the limit. An unknown or null hold records too. */
  settle(
    customer: string,
    entitlement: string,
    hold: string | null,
    value: Amount,
    eventOrOptions: EventOrOptions = true,
  ): boolean {
    const call = callArguments(customer, entitlement, amount(value, 'value'), eventOrOptions);
    return this.#call('settle', { ...call, hold: holdId(hold) });
  }

  /** Drops a hold; false when it is not there any more. */
  release(customer: string, entitlement: string, hold: string | null): boolean {
    return this.#call('release', { ...at(customer, entitlement), hold: holdId(hold) });
  }

  /** Room held by unsettled reservations. */
  held(customer: string, entitlement: string): number | null {
    return this.#call('held', at(customer, entitlement));
  }

  /** What a call is expected to use, from what was learned so far; null before anything was. */
  estimate(customer: string, entitlement: string, options: EstimateOptions = {}): Estimate | null {
    return this.#call('estimate', { ...record(options, 'options'), ...at(customer, entitlement) });
  }

  /** Learns from a call that was not reserved; false when nothing was learned. */
  observe(customer: string, entitlement: string, value: Amount, options: ObserveOptions = {}): boolean {
    const given = { value: amount(value, 'value'), ...at(customer, entitlement) };
    return this.#call('observe', { ...record(options, 'options'), ...given });
  }

  // Reads: they never meter, and show the current period

  /** Units used; with `percent` of the limit. */
  value(customer: string, entitlement: string, percent = false, grants = true): number | null {
    return this.#call('value', { ...at(customer, entitlement), ...share(percent, grants) });
  }

  /** Units left, grants included unless `grants` is false; with `percent` of the limit. Null for feature flags. */
  remaining(customer: string, entitlement: string, percent = false, grants = true): number | null {
    return this.#call('remaining', { ...at(customer, entitlement), ...share(percent, grants) });
  }

  /** The limit, plus what grants buy unless `grants` is false. `customer` may name a plan. */
  limit(customer: string, entitlement: string, grants = true): number | null {
    return this.#call('limit', { ...at(customer, entitlement), grants: flag(grants, 'grants') });
  }

  /** What one call may use now: what is left, but not more than the governor's tokens. */
  allowance(customer: string, entitlement: string): number | null {
    return this.#call('allowance', at(customer, entitlement));
  }

  /** The step of {@link SyncLimitr.increment}. `customer` may name a plan. */
  cost(customer: string, entitlement: string): number | null {
    return this.#call('cost', at(customer, entitlement));
  }

  /** When the meter starts over, ms since 1970; null when it never does. */
  resets(customer: string, entitlement: string): number | null {
    return this.#call('resets', at(customer, entitlement));
  }

  /** Units per ms between the last two calls. */
  rate(customer: string, entitlement: string): number | null {
    return this.#call('rate', at(customer, entitlement));
  }

  /** The last rate minus the one before. */
  acceleration(customer: string, entitlement: string): number | null {
    return this.#call('acceleration', at(customer, entitlement));
  }

  /** In how many ms nothing is left at the current (or the smoothed) rate; null when that never happens. */
  projectedExhaustion(customer: string, entitlement: string, smoothed = false): number | null {
    return this.#call('projected_exhaustion', { ...at(customer, entitlement), smoothed: flag(smoothed, 'smoothed') });
  }

  /** All of a customer's balances, converted to `credit`. */
  remainingCredit(customer: string, credit: string): number | null {
    return this.#call('credit_remaining', { customer: customerId(customer), credit: text(credit, 'credit') });
  }

  /** What `value` of one credit or currency is worth in another. */
  creditExchange(from: string, to: string, value = 1): number | null {
    const pair = { in_currency: text(from, 'from'), out_currency: text(to, 'to') };
    return this.#call('credit_exchange', { ...pair, value: finite(value, 'value') });
  }

  /** The meter as it is stored. */
  meterObject(customer: string, entitlement: string): Meter | undefined {
    return this.#call('meter_obj', at(customer, entitlement)) ?? undefined;
  }

  /** The limit in force: the customer's override or the plan's. `customer` may name a plan. */
  limitObject(customer: string, entitlement: string): Limit | undefined {
    return this.#call('limit_obj', at(customer, entitlement)) ?? undefined;
  }

  /** The entitlement's definition. `customer` may name a plan. */
  entitlement(customer: string, entitlement: string): Entitlement | undefined {
    return this.#call('entitlement', at(customer, entitlement)) ?? undefined;
  }

  /** A credit's definition. */
  credit(id: string): Credit | undefined {
    return this.#call('credit', { id: text(id, 'id') }) ?? undefined;
  }

  /** The definition of the credit that an entitlement is metered in. */
  creditFor(customer: string, entitlement: string): Credit | undefined {
    return this.#call('credit_for', at(customer, entitlement)) ?? undefined;
  }

  /** The plan of a customer, its own or inherited, or the plan of that name. */
  plan(customerOrPlan: string): Plan | undefined {
    const id = text(customerOrPlan, 'customerOrPlan');
    const own = this.#call<Plan | null>('plan_for', { customer: id });
    if (own !== null) return own;
    const plan = this.#call<Plan | null>('plan', { id });
    return plan === null ? undefined : { id, ...plan };
  }

  /** The plan of customers created without one. */
  defaultPlan(): Plan | undefined {
    return this.#call('default_plan', {}) ?? undefined;
  }

  /** The billing period of a customer's plan, or of the plan of that name. */
  planPeriod(customerOrPlan: string): PlanPeriod | null {
    const plan = this.plan(customerOrPlan);
    return plan === undefined ? null : (plan.period ?? 'monthly');
  }

  /** How long the subscription of a customer's plan, or of the plan of that name, is free, ms; null when it is not. */
  planTrialPeriod(customerOrPlan: string): number | null {
    return this.plan(customerOrPlan)?.trial_period ?? null;
  }

  // Customers

  /**
   * Creates a customer, or updates the one with this id, keeping its meters. Without a plan it gets the one found through
   * its refs, else the default one. {@link SyncLimitr.ensureCustomer} is the one to call on every request.
   *
   * @throws {@link LimitrError} when no plan can be found, or an alternate id is somebody else's.
   */
  createCustomer(
    id: string,
    plan = '',
    type = 'user',
    label = 'User',
    refs?: string[],
    alts?: string[],
    metadata?: Record<string, unknown>,
  ): Customer {
    return printable(this.#call('create_customer', newCustomer(id, plan, type, label, refs, alts, metadata)));
  }

  /** Creates a customer unless it exists; whether it did. Safe on every request. */
  ensureCustomer(
    id: string,
    plan = '',
    type = 'user',
    label = 'User',
    refs?: string[],
    alts?: string[],
    metadata?: Record<string, unknown>,
  ): boolean {
    return this.#call('ensure_customer', newCustomer(id, plan, type, label, refs, alts, metadata));
  }

  /** A customer's record, by id or alternate id. */
  customer(id: string): Customer | undefined {
    const found = this.#call<Customer | null>('customer', { id: customerId(id) });
    return found === null ? undefined : printable(found);
  }

  /** Every customer's record, by id: the snapshot for {@link SyncLimitr.loadCustomers}. */
  customers(): Record<string, Customer> {
    return this.#call('customers', {});
  }

  /** Puts a whole record in place. */
  setCustomer(customer: Customer, event = true): boolean {
    return this.#call('set_customer', { record: record(customer, 'customer'), event: flag(event, 'event') });
  }

  /** Puts a whole record in place unless the customer exists; whether it did. */
  ensureSetCustomer(customer: Customer, event = true): boolean {
    const { id } = record(customer, 'customer');
    return this.customer(text(id, 'customer.id')) === undefined && this.setCustomer(customer, event);
  }

  /** Puts records in place, without events: all of them, or with an error none. */
  loadCustomers(customers: Record<string, Customer> | Customer[]): boolean {
    const given = Array.isArray(customers) ? customers : record(customers, 'customers');
    return this.#call('load_customers', { customers: given });
  }

  /** Removes a customer; false when it is not there. */
  removeCustomer(id: string): boolean {
    return this.#call('delete_customer', { id: customerId(id) });
  }

  /** Moves a customer to a plan; false when that is its plan already, or either is unknown. */
  setCustomerPlan(id: string, plan: string, overwriteMeters = false): boolean {
    const given = { plan: text(plan, 'plan'), overwrite_meters: flag(overwriteMeters, 'overwriteMeters') };
    return this.#call('set_customer_plan', { customer: customerId(id), ...given });
  }

  /** The customers that a customer refers to, such as its organisation. */
  customerRefs(id: string): string[] | null {
    const customer = this.customer(id);
    return customer === undefined ? null : (customer.refs ?? []);
  }

  /** Sets what {@link SyncLimitr.customerRefs} answers. */
  setCustomerRefs(id: string, refs: string[]): boolean {
    return this.#call('set_customer_refs', { customer: customerId(id), refs: texts(refs, 'refs') });
  }

  /** The application's own data about a customer. */
  customerMetadata(id: string): Record<string, unknown> | null {
    return this.#call('customer_metadata', { customer: customerId(id) });
  }

  /**
   * Lets a customer go by another id too.
   *
   * @throws {@link LimitrError} `alt_id_taken` when it is somebody else's.
   */
  addAltID(id: string, alt: string): boolean {
    return this.#call('add_alt_id', { customer: customerId(id), alt: text(alt, 'alt') });
  }

  /** Takes an alternate id away; false when the customer has no such id. */
  removeAltID(id: string, alt: string): boolean {
    return this.#call('remove_alt_id', { customer: customerId(id), alt: text(alt, 'alt') });
  }

  /** Gives a customer a limit of its own on an entitlement; null for an unknown customer or entitlement. */
  createCustomerOverride(id: string, entitlement: string, options: OverrideOptions): Limit | null {
    const limit = record(options, 'options');
    return this.#call('create_customer_override', { ...at(id, entitlement), limit });
  }

  /** Takes the override away; false when there is none. */
  removeCustomerOverride(id: string, entitlement: string): boolean {
    return this.#call('remove_customer_override', at(id, entitlement));
  }

  /** Grants a topup of the customer's plan; false when either is unknown. */
  applyCustomerTopup(id: string, topup: string): boolean {
    return this.#call('apply_customer_topup', { customer: customerId(id), topup: text(topup, 'topup') });
  }

  /** Grants the plan's included topups that are missing. */
  ensureCustomerIncludedTopups(id: string): boolean {
    return this.#call('ensure_included_topups', { customer: customerId(id) });
  }

  /** Meters the plan's subscription once a period, after its trial; false when there is nothing to meter. */
  ensureCustomerPlanQuantity(id: string): boolean {
    return this.#call('ensure_plan_subscription', { customer: customerId(id) });
  }

  // Caps and margin

  /** Puts a ceiling on what a customer's calls consume, in `rune` by default; null when it is refused. */
  addCustomerCap(id: string, value: Amount, options: CapOptions = {}): Cap | null {
    const given = { customer: customerId(id), value: amount(value, 'value') };
    return this.#call('add_customer_cap', { ...record(options, 'options'), ...given });
  }

  /** A cap by its id. */
  customerCap(id: string, cap: string): Cap | undefined {
    return this.#call('customer_cap', capAt(id, cap)) ?? undefined;
  }

  /** Sets what a cap has counted to 0 and starts its period anew. */
  resetCustomerCap(id: string, cap: string, events = true): boolean {
    return this.#call('reset_customer_cap', { ...capAt(id, cap), events: flag(events, 'events') });
  }

  /** Removes a cap; false when it is not there. */
  removeCustomerCap(id: string, cap: string, events = true): boolean {
    return this.#call('remove_customer_cap', { ...capAt(id, cap), events: flag(events, 'events') });
  }

  /** Begins to measure what a customer's calls charge and cost. */
  startMarginMeasurement(id: string): boolean {
    return this.#call('start_margin_measurement', { customer: customerId(id) });
  }

  /** Ends the measurement; null when none was begun. */
  captureMarginMeasurement(id: string): MarginMeasurement | null {
    return this.#call('capture_margin_measurement', { customer: customerId(id) });
  }

  /** A customer's revenue, cost and margin in the current periods, in runes. */
  customerMarginSnapshot(id: string): MarginSnapshot | null {
    return this.#call('customer_margin', { customer: customerId(id) });
  }

  /** The margin of a plan under hypothetical usage, scaled to the plan's billing period unless `scaled` is false. */
  marginSnapshot(plan: string, usage: Record<string, PlanUsage>, scaled = true): MarginSnapshot | null {
    const given = { entitlements: record(usage, 'usage'), scaled: flag(scaled, 'scaled') };
    return this.#call('plan_margin', { plan: text(plan, 'plan'), ...given });
  }

  // The policy

  /** Whether the policy validates, and what is wrong when it does not. */
  valid(): [ok: boolean, message: string] {
    const problems: { path: string; message: string }[] = JSON.parse(this.#live().problems());
    return [problems.length === 0, problems.map(({ path, message }) => `${path}: ${message}`).join('\n')];
  }

  /** What is different in another policy, given as the contents of its `policy` key. */
  difference(other: PolicyDocument): Change[] {
    return this.#call('difference', { policy: record(other, 'other') });
  }

  /**
   * Adds a plan, or puts it in the place of the one with this name.
   *
   * @throws {@link LimitrPolicyError} when the policy would not validate with it.
   */
  setPlan(id: string, plan: Record<string, unknown> | Plan): boolean {
    return this.#call('set_plan', { id: text(id, 'id'), plan: record(plan, 'plan') });
  }

  /** Removes a plan; false when it is not there. */
  deletePlan(id: string): boolean {
    return this.#call('delete_plan', { id: text(id, 'id') });
  }

  // The policy's logic

  /**
   * Puts other notifications in the place of the policy's, by name.
   *
   * @throws {@link LimitrPolicyError} listing every problem; the policy stays as it was.
   */
  setNotifications(notifications: Record<string, Record<string, unknown> | Notification>): boolean {
    return this.#call('set_notifications', { notifications: record(notifications, 'notifications') });
  }

  /**
   * Puts other capabilities in the place of the policy's, by name.
   *
   * @throws {@link LimitrPolicyError} listing every problem; the policy stays as it was.
   */
  setCapabilities(capabilities: Record<string, Record<string, unknown> | Capability>): boolean {
    return this.#call('set_capabilities', { capabilities: record(capabilities, 'capabilities') });
  }

  /** A capability's definition, by its name in the policy or its name as a tool. */
  capability(name: string): Capability | undefined {
    return this.#call('capability', { name: text(name, 'name') }) ?? undefined;
  }

  /**
   * Checks `args` against a capability's parameters, runs it, and answers with its result.
   *
   * `customer` is whom it is run for: the result can ask for that customer's usage, and a capability kept for certain plans
   * or customers is there for nobody else.
   *
   * @throws {@link LimitrError} `unknown_capability`, `unknown_customer`, `bad_argument` with the parameter in its `path`, or
   * `capability_failed` when there is no result.
   */
  runCapability(name: string, args: Record<string, unknown> = {}, customer?: string): unknown {
    const given = { name: text(name, 'name'), arguments: record(args, 'args') };
    return this.#call('run_capability', { ...given, ...whom(customer) });
  }

  /**
   * The capabilities that `customer` is offered, as `tools` of a request to the Anthropic Messages API.
   *
   * @throws {@link LimitrError} `unknown_customer`.
   */
  claudeTools(customer?: string): Tool[] {
    return this.#call('claude_tools', whom(customer));
  }

  /**
   * Runs the capability that a `tool_use` block of a message calls, and answers with the block's `tool_result`. What goes
   * wrong in that is the result, marked `is_error`, for the model to read.
   *
   * @throws {@link LimitrError} `bad_argument` for what is no `tool_use` block.
   */
  claudeToolUse(block: ToolUse, customer?: string): ToolResult {
    return this.#call('claude_tool_use', { block: record(block, 'block'), ...whom(customer) });
  }

  /** The policy, as data. */
  record(): { policy: PolicyDocument } {
    return { policy: this.#call('record', {}) };
  }

  /** The policy, as text. */
  stringify(format: Format): string {
    return this.#call('stringify', { format: text(format, 'format') });
  }

  /**
   * Any operation of the engine by its name in the conformance scenarios, with named arguments: what everything above
   * stands on.
   */
  operation(verb: string, named: Record<string, unknown>): unknown {
    return this.#call(text(verb, 'verb'), record(named, 'named'));
  }

  /** @internal */
  get engine(): Engine {
    return this.#live();
  }

  /** Whether the engine is freed. */
  get closed(): boolean {
    return this.#engine === undefined;
  }

  /** Frees the engine; every later call throws `closed`. */
  free(): void {
    this.#engine?.free();
    this.#engine = undefined;
  }

  #live(): Engine {
    if (this.#engine === undefined) {
      throw new LimitrError('the engine is closed: nothing can be asked of it any more', { code: 'closed' });
    }
    return this.#engine;
  }

  #call<T>(verb: string, named: Named): T {
    this.#live();
    const operation = json({ [verb]: named }, verb);
    const run = (): unknown => this.#run(verb, named, operation);
    const instead = this.#remote?.instead(verb, named, run);
    return (instead === undefined ? run() : instead.answer) as T;
  }

  #run(verb: string, named: Named, operation: string): unknown {
    const engine = this.#live();
    let result: string;
    try {
      result = engine.call(operation, Date.now());
    } catch (thrown) {
      // Logic that fails is told of, too.
      if (typeof thrown === 'string') this.#handlers.take(engine);
      this.#remote?.ran(verb, named, undefined);
      throw fromEngine(thrown);
    }
    this.#handlers.take(engine);
    const answer: unknown = JSON.parse(result);
    this.#remote?.ran(verb, named, answer);
    return answer;
  }

  #outcome(outcome: number, customer: string): boolean {
    if ((outcome & EVENTS) !== 0) this.#handlers.tell(this.#live().take_events());
    const allowed = (outcome & ALLOWED) !== 0;
    this.#remote?.called(customer, allowed);
    return allowed;
  }
}
