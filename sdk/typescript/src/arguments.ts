/** What a program hands over, as the engine's operations take it. */
import type { CallOptions } from './options.js';
import { amount, flag, isRecord, record, text, texts } from './values.js';

const OPTIONS = new Set(['event', 'overhead', 'caps', 'cap', 'force', 'idempotencyKey']);

export const customerId = (value: unknown): string => text(value, 'customer');
export const entitlementName = (value: unknown): string => text(value, 'entitlement');
export const at = (customer: unknown, entitlement: unknown): { customer: string; entitlement: string } => ({
  customer: customerId(customer),
  entitlement: entitlementName(entitlement),
});
export const capAt = (customer: unknown, cap: unknown): { customer: string; id: string } => ({
  customer: customerId(customer),
  id: text(cap, 'cap'),
});
export const share = (percent: unknown, grants: unknown): { percent: boolean; grants: boolean } => ({
  percent: flag(percent, 'percent'),
  grants: flag(grants, 'grants'),
});
/** Whom an operation is for, where that may be nobody. */
export const whom = (customer: unknown): { customer?: string } =>
  customer === undefined ? {} : { customer: customerId(customer) };
export const holdId = (hold: unknown): string | null => (hold === null ? null : text(hold, 'hold'));

export function newCustomer(
  id: unknown,
  plan: unknown,
  type: unknown,
  label: unknown,
  refs: unknown,
  alts: unknown,
  metadata: unknown,
): Record<string, unknown> {
  return {
    id: customerId(id),
    plan: text(plan, 'plan'),
    type: text(type, 'type'),
    label: text(label, 'label'),
    ...(refs === undefined ? {} : { refs: texts(refs, 'refs') }),
    ...(alts === undefined ? {} : { alts: texts(alts, 'alts') }),
    ...(metadata === undefined ? {} : { metadata: record(metadata, 'metadata') }),
  };
}

export function callArguments(customer: unknown, entitlement: unknown, value: unknown, given: unknown): Record<string, unknown> {
  const call: Record<string, unknown> = at(customer, entitlement);
  if (value !== undefined) call['value'] = amount(value, 'value');
  if (!isOptions(given)) return { ...call, event: given };
  const { event = true, overhead, caps, cap, force, idempotencyKey } = given as CallOptions & { cap?: unknown };
  call['event'] = event;
  if (overhead !== undefined) call['overhead'] = amount(overhead, 'overhead');
  if (caps !== undefined || cap !== undefined) call['cap'] = caps ?? cap;
  if (force !== undefined) call['force'] = flag(force, 'force');
  if (idempotencyKey !== undefined) call['idempotency_key'] = text(idempotencyKey, 'idempotencyKey');
  return call;
}

function isOptions(given: unknown): boolean {
  if (!isRecord(given)) return false;
  const fields = Object.keys(given);
  return fields.length > 0 && fields.every((field) => OPTIONS.has(field));
}
