/** The policies that are measured: those of the engine's benchmark (`bench/src/engine.rs`). */

/** Enough that no call of a benchmark reaches it. */
const PLENTY = 1e15;

/** How many customers the calls go round. */
export const CUSTOMERS = 1_000;

/** A cost expression, an alert that no call of a benchmark comes near, a capability that asks for usage. */
export const LOGIC = {
  cost: { credit: { data: { small: 0.001, large: 0.01 }, overhead: 'units * data[context.model]' } },
  alert: { notifications: { eighty_percent: { on: 'meter-changed', when: 'crossed(0.8)', once: 'period' } } },
  capability: {
    capabilities: {
      can_afford: {
        parameters: [{ name: 'tokens', type: 'integer', required: true }],
        result: "check('chat', input.tokens)",
      },
    },
  },
};

/** Plans `plan-0`, `plan-1`, .. with three metered entitlements and a feature flag, and one where nothing is left. */
function document(plans, { credit, ...logic } = {}) {
  const entitlement = (value) => ({
    limit: { credit: 'message', mode: 'hard', value, resets: true, reset_inc: '30days' },
  });
  const metered = entitlement(PLENTY);
  const entitlements = { chat: metered, images: metered, search: metered, beta: {} };
  const numbers = Array.from({ length: plans }, (_, number) => number);
  return {
    policy: {
      credits: { message: { unit: 'message', overhead_cost: 0.001, price: { amount: 0.002 }, ...credit } },
      ...logic,
      plans: {
        ...Object.fromEntries(numbers.map((number) => [`plan-${number}`, { entitlements }])),
        spent: { entitlements: { chat: entitlement(0) } },
      },
    },
  };
}

/** The policy as text in `yaml` or `json`, with some of {@link LOGIC} in it. */
export function policyText(plans, format = 'yaml', logic = {}) {
  const policy = document(plans, logic);
  return format === 'json' ? JSON.stringify(policy, null, 2) : yaml(policy, '');
}

/** A key a line, as people write it. */
function yaml(fields, indent) {
  const line = ([key, value]) =>
    typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length > 0
      ? `${indent}${key}:\n${yaml(value, `${indent}  `)}`
      : `${indent}${key}: ${JSON.stringify(value)}\n`;
  return Object.entries(fields).map(line).join('');
}
