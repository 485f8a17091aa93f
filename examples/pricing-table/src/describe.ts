import type { Credit, Entitlement, Limit, Plan, PolicyDocument } from 'limitr';

/** A plan as a customer reads it. */
export interface Offer {
  id: string;
  label: string;
  tagline: string;
  /** Money per billing period, before usage. */
  price: string;
  period: string;
  features: Feature[];
}

export interface Feature {
  /** What is included: `10,000 API calls a month`. */
  included: string;
  /** What happens past it; absent for what has no limit. */
  beyond?: string;
}

const PERIODS = { yearly: 'year', monthly: 'month', weekly: 'week', daily: 'day' };
const DAY = 86_400_000;

/** What a policy offers: its plans that are not hidden, in the document's order. */
export function offers({ plans = {}, credits = {} }: PolicyDocument): Offer[] {
  return Object.entries(plans)
    .filter(([, plan]) => !plan.hidden)
    .map(([id, plan]) => ({
      id,
      label: plan.label ?? id,
      tagline: String(plan['x-tagline'] ?? ''),
      price: money(subscriptionPrice(plan, credits)),
      period: PERIODS[plan.period ?? 'monthly'],
      features: Object.entries(plan.entitlements)
        .filter(([, entitlement]) => !entitlement.hidden)
        .map(([name, entitlement]) => feature(name, entitlement, credits)),
    }));
}

/** The plan's base fee is the price of one unit of its subscription entitlement. */
function subscriptionPrice(plan: Plan, credits: Record<string, Credit>): number {
  const credit = plan.entitlements[plan.subscription ?? 'subscription']?.limit?.credit;
  return Number(credits[credit ?? '']?.price?.amount ?? 0);
}

function feature(name: string, { description = name, limit }: Entitlement, credits: Record<string, Credit>): Feature {
  if (limit === undefined) return { included: description };
  const credit = credits[limit.credit]!;
  return { included: `${quantity(limit, credit)} ${description}${restart(limit)}`, beyond: beyond(limit, credit) };
}

/** A value is a number in the credit's unit, or text with a unit of its own, such as `50GB`. */
function quantity({ value }: Limit, credit: Credit): string {
  if (typeof value === 'string') return value.replace(/(\d)([a-z])/i, '$1 $2');
  return isPlain(credit) ? number(value) : `${number(value)} ${credit.stof_units}`;
}

function restart({ resets, reset_sch, reset_inc = 30 * DAY }: Limit): string {
  if (!resets) return '';
  if (reset_sch === undefined) return reset_inc === DAY ? ' a day' : ` every ${number(reset_inc / DAY)} days`;
  const [schedule = ''] = reset_sch.split(':');
  return ` a ${{ weekly: 'week', quarterly: 'quarter', yearly: 'year' }[schedule] ?? 'month'}`;
}

function beyond({ mode }: Limit, credit: Credit): string {
  if (mode === 'hard') return 'and no more';
  let from = 0;
  const rates = (credit.tiers ?? [{ price: credit.price ?? { amount: 0 } }]).map(({ price, up_to }) => {
    const told = rate(Number(price.amount), credit);
    if (up_to === undefined) return from === 0 ? told : `${told} after that`;
    const units = Number(up_to) - from;
    from = Number(up_to);
    return `${told} for the next ${number(units)}`;
  });
  return `then ${rates.join(', ')}`;
}

/** Small prices are told per thousand. */
function rate(price: number, credit: Credit): string {
  const unit = isPlain(credit) ? credit.unit : credit.stof_units;
  return price < 0.01 ? `${money(price * 1000)} per 1,000 ${unit}s` : `${money(price)} per ${unit}`;
}

function isPlain({ stof_units }: Credit): boolean {
  return stof_units === 'int' || stof_units === 'float';
}

export function number(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 2 });
}

export function money(value: number): string {
  const minimumFractionDigits = Number.isInteger(value) ? 0 : 2;
  return value.toLocaleString('en-US', { style: 'currency', currency: 'USD', minimumFractionDigits });
}
