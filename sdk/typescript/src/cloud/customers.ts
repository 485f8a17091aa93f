/** What an operation says of customers by its name: whom it names, and whom it asks for. */
import type { Explanation } from '../records.js';
import type { Named } from '../remote.js';
import type { SyncLimitr } from '../sync.js';
import { text, texts } from '../values.js';

type Method = keyof SyncLimitr;

/** Which argument of a method names its customer; the first, but for these. */
const ELSEWHERE: Partial<Record<Method, number>> = { claudeToolUse: 1, runCapability: 2 };

/** Methods that name none, or one that need not be fetched: it is put in place as it is given. */
const NOBODY = new Set<string>([
  'capability',
  'createCustomer',
  'creditExchange',
  'credit',
  'customers',
  'defaultPlan',
  'deletePlan',
  'difference',
  'ensureCustomer',
  'loadCustomers',
  'marginSnapshot',
  'setCapabilities',
  'setCustomer',
  'setNotifications',
  'setPlan',
  'valid',
] satisfies Method[]);

/**
 * Methods that may be asked before anybody is fetched: for an unknown customer they answer null or false and tell nobody. Hot
 * ones, and those that plans can be named to.
 */
export const ASKED_FIRST = new Set<string>([
  'allow',
  'check',
  'cost',
  'decrement',
  'entitlement',
  'increment',
  'limit',
  'plan',
  'planPeriod',
  'planTrialPeriod',
] satisfies Method[]);

/** Which argument of a method is a list of customers that it refers to. */
const REFS: Partial<Record<Method, number>> = { createCustomer: 4, ensureCustomer: 4, setCustomerRefs: 1 };

/** The customer that a method is called for. */
export function customerOf(method: string, given: unknown[]): string | undefined {
  if (NOBODY.has(method)) return undefined;
  const named = given[ELSEWHERE[method as Method] ?? 0];
  // A record, of `ensureSetCustomer`.
  const id = typeof named === 'object' && named !== null ? (named as { id?: unknown }).id : named;
  return typeof id === 'string' ? text(id, 'customer') : undefined;
}

/** The customers that a method refers to. */
export function refsOf(method: string, given: unknown[]): string[] {
  const at = REFS[method as Method];
  const refs = at === undefined ? undefined : given[at];
  return refs === undefined ? [] : texts(refs, 'refs');
}

/** The customer that an operation found nothing of. */
export function missedBy(verb: string, named: Named, answer: unknown): string | undefined {
  const unknown = (answer as Partial<Explanation> | null | undefined)?.reason === 'unknown_customer';
  // What is no customer's plan may be a plan: that is asked next.
  if ((answer && !unknown) || verb === 'plan_for' || verb === 'credit') return undefined;
  const customer = named['customer'] ?? named['id'];
  return typeof customer === 'string' ? customer : undefined;
}
