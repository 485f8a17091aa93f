/** Scenarios of random calls: the same ones every time. */

const GOVERNOR = { governor_enabled: true, governor_capacity: 20_000, governor_refill_rate: 0.005 };

const POLICY = {
  credits: {
    token: {
      overhead_cost: 0.000003,
      price: { amount: 0.00001 },
      data: { small: 0.000001, big: 0.00003 },
      // Not of every call is there a model, and not every model has a rate.
      overhead: 'units * data[context.model] + (customer.plan == "pro" ? 0.0001 : 0.0)',
    },
    image: {
      overhead_cost: 0.04,
      pricing_model: 'tiered',
      tiers: [{ up_to: 50, price: { amount: 0.1 } }, { price: { amount: 0.07 } }],
    },
    space: { stof_units: 'MB', price: { amount: 0.001 } },
    seat: { price: { amount: 10 }, overhead: 'units / context.share' },
    gift: {},
  },
  exchange: {
    rune: { value: 1, currency: 'usd' },
    gift: { value: 1.25, currency: 'rune' },
    token: { value: 0.00001, currency: 'gift' },
    image: { value: 0.07, currency: 'gift' },
  },
  notifications: {
    most: { when: 'crossed(0.8)', once: 'period', message: '{customer.id}: {percent()}% of {entitlement}, {remaining()} left' },
    often: { on: ['meter-limit', 'meter-governed', 'cap-limit'], once: 'ever', severity: 'critical' },
    odd: { on: 'meter-changed', when: 'event.event_data.request > 10', message: '{event.meter.diff / event.meter.limit}' },
    moved: { on: ['customer-plan-changed', 'logic-error'], message: '{type} of {customer.id}' },
  },
  capabilities: {
    room: {
      parameters: [{ name: 'of' }, { name: 'for', type: 'number', required: true }],
      result:
        "{'left': remaining(input.of), 'used': value(input.of), 'all': limit(input.of), 'may': check(input.of, input.for)}",
    },
    share: { plans: ['pro'], result: "value('tokens') / limit('tokens')" },
  },
  plans: {
    free: {
      default: true,
      entitlements: {
        access: {},
        tokens: { limit: { credit: 'token', value: 50_000, resets: true, reset_inc: '1day', ...GOVERNOR } },
        images: { limit: { credit: 'image', value: 20, resets: true, reset_sch: 'monthly:31' } },
        space: { limit: { credit: 'space', value: '1GB' } },
        seats: { scope: 'org', limit: { credit: 'seat', value: 3, increment: 1, minimum: 0 } },
      },
    },
    pro: {
      trial_period: '14days',
      entitlements: {
        access: {},
        tokens: { limit: { credit: 'token', mode: 'soft', value: 200_000, resets: true, reset_inc: '1day' } },
        images: { limit: { credit: 'image', mode: 'soft', value: 100, resets: true, reset_inc: '30days' } },
        space: { limit: { credit: 'space', mode: 'hard', value: '10GB', hard_trailing: true } },
        seats: { scope: 'org', limit: { credit: 'seat', mode: 'observe', value: 10 } },
      },
      topups: {
        welcome: { credit: 'gift', value: 2, included: true, resets: true, reset_inc: '7days', reset_mode: 'rollover' },
        pack: { credit: 'gift', value: 10, expires_after: '3days', priority: 2 },
        pixels: { credit: 'image', value: 25 },
      },
    },
  },
};

type Step = Record<string, unknown>;

/** A scenario of `length` calls. */
export function randomScenario(seed: number, length: number): object {
  const random = mulberry32(seed);
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const often = (share: number): boolean => random() < share;
  const customer = (): string => (often(0.03) ? 'nobody' : one(['ann', 'ben', 'ben', 'org', 'ann@example.com']));
  const common = (): string => one(['tokens', 'tokens', 'images', 'images', 'space', 'seats']);
  const entitlement = (): string => (often(0.06) ? one(['access', 'nothing']) : common());
  const amount = (name: string): unknown => {
    switch (name) {
      case 'tokens':
        return one([1, 1200, 15_000.5, 65_000, random() * 30_000, -500, '2e4', 1 / 3]);
      case 'space':
        return one(['1MB', '300MB', 1.5, '4GB', '-200MB', '7KiB', 0.1]);
      default:
        return one([0, 1, 2, 0.5, 7, -1, 1e-9, 1 + Math.floor(random() * 12)]);
    }
  };
  const call = (verb: string): Step => {
    const name = entitlement();
    return {
      [verb]: {
        customer: customer(),
        entitlement: name,
        value: amount(name),
        ...(often(0.1) ? { event: one([true, false, { request: seed }]) } : {}),
        ...(often(0.3) ? { event: { model: one(['small', 'big', 'new']), share: one([3, 7, 0]) } } : {}),
        ...(often(0.05) ? { overhead: random() } : {}),
        ...(often(0.05) ? { cap: { rune: random() } } : {}),
        ...(often(0.05) ? { force: true } : {}),
        ...(often(0.05) ? { idempotency_key: one(['k1', 'k2', 'k3']) } : {}),
      },
    };
  };
  const at = (): { customer: string; entitlement: string } => ({ customer: customer(), entitlement: entitlement() });
  // Where each reservation was made.
  const held: object[] = [];
  const kinds: [share: number, step: () => Step][] = [
    [30, () => call('allow')],
    [5, () => call('check')],
    [5, () => ({ [one(['increment', 'decrement', 'check_increment'])]: at() })],
    [4, () => ({ set: { ...at(), value: Math.floor(random() * 100) } })],
    [
      4,
      () => {
        const where = at();
        const value = often(0.7) ? { value: random() * 10 } : {};
        return { reserve: { ...where, ...value, ttl: '1hr' }, save: `h${held.push(where) - 1}` };
      },
    ],
    [
      4,
      () => {
        if (held.length === 0) return { settle: { ...at(), hold: null, value: 1 } };
        const hold = often(0.7) ? held.length - 1 : Math.floor(random() * held.length);
        const where = { ...held[hold], hold: `$h${hold}` };
        return often(0.3) ? { release: where } : { settle: { ...where, value: random() * 10 } };
      },
    ],
    [2, () => ({ observe: { ...at(), value: random() * 100 } })],
    [2, () => ({ estimate: at() })],
    [8, () => ({ [one(['value', 'remaining'])]: { ...at(), percent: often(0.5), grants: often(0.5) } })],
    [6, () => ({ [one(['limit', 'resets', 'rate', 'acceleration', 'allowance', 'held', 'meter_obj', 'cost'])]: at() })],
    [3, () => ({ projected_exhaustion: { ...at(), smoothed: often(0.5) } })],
    [
      2,
      () => ({
        set_customer_plan: {
          customer: customer(),
          plan: one(['free', 'pro', 'pro', 'gold']),
          overwrite_meters: often(0.3),
        },
      }),
    ],
    [3, () => ({ apply_customer_topup: { customer: customer(), topup: one(['pack', 'pixels', 'welcome']) } })],
    [2, () => ({ [one(['ensure_included_topups', 'ensure_plan_subscription'])]: { customer: customer() } })],
    [
      1,
      () => ({
        add_customer_cap: {
          customer: customer(),
          id: one(['c1', 'c2']),
          value: 1 + random() * 3,
          resets: true,
          reset_inc: '1day',
        },
      }),
    ],
    [
      2,
      () => ({ [one(['reset_customer_cap', 'remove_customer_cap'])]: { customer: customer(), id: one(['c1', 'c2']) } }),
    ],
    [1, () => ({ create_customer_override: { ...at(), limit: { credit: 'token', value: random() * 1000 } } })],
    [1, () => ({ remove_customer_override: at() })],
    [2, () => ({ [one(['start_margin_measurement', 'capture_margin_measurement'])]: { customer: customer() } })],
    [2, () => ({ customer_margin: { customer: customer() } })],
    [2, () => ({ credit_remaining: { customer: customer(), credit: one(['gift', 'rune', 'token', 'usd']) } })],
    [1, () => ({ customer: { id: customer() } })],
    [1, () => ({ explain: at() })],
    [
      2,
      () => {
        const { customer, entitlement } = at();
        const input = { of: entitlement, for: one([random() * 1000, 1, -1, 1 / 3, 'many']) };
        const use = { type: 'tool_use', id: 'toolu_1', name: one(['room', 'share']), input };
        return often(0.5)
          ? { run_capability: { name: 'room', arguments: input, customer } }
          : { claude_tool_use: { block: often(0.5) ? use : { ...use, input: {} }, customer } };
      },
    ],
    [0.3, () => ({ delete_customer: { id: customer() } })],
    [2, () => ({ ensure_customer: { id: one(['ann', 'ben', 'org']), plan: 'pro', refs: ['org'] } })],
    [8, () => ({ advance: one(['1s', '20min', '5hr', '1day', 12_345]) })],
  ];
  const total = kinds.reduce((sum, [share]) => sum + share, 0);
  const step = (): Step => {
    let at = random() * total;
    const [, make] = kinds.find(([share]) => (at -= share) < 0) ?? (kinds[0] as (typeof kinds)[number]);
    return make();
  };
  return {
    name: `random calls ${seed}`,
    now: '2026-01-28T09:30:00Z',
    policy: POLICY,
    steps: [
      { create_customer: { id: 'org', type: 'org', plan: 'pro' } },
      { create_customer: { id: 'ann', plan: 'free', refs: ['org'], alts: ['ann@example.com'] } },
      { create_customer: { id: 'ben', plan: 'pro', refs: ['org'] } },
      ...Array.from({ length }, step),
    ],
  };
}

/** A small random generator with a seed. */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
