/** The methods that the engine has in both ways, with arguments that they take. */

export type Kind = 'text' | 'amount' | 'number' | 'flag' | 'record' | 'records' | 'texts' | 'hold' | 'event';
type Parameter = [name: string, kind: Kind, good: unknown, optional?: true];

const customer: Parameter = ['customer', 'text', 'ann'];
const entitlement: Parameter = ['entitlement', 'text', 'tokens'];
const id: Parameter = ['id', 'text', 'ann'];
const value: Parameter = ['value', 'amount', 1, true];
const needed: Parameter = ['value', 'amount', 1];
const event: Parameter = ['event', 'event', true, true];
const events: Parameter = ['events', 'flag', true, true];
const options: Parameter = ['options', 'record', {}, true];
const hold: Parameter = ['hold', 'hold', null];
const share: Parameter[] = [
  ['percent', 'flag', false, true],
  ['grants', 'flag', true, true],
];
const created: Parameter[] = [
  ['id', 'text', 'new'],
  ['plan', 'text', 'free', true],
  ['type', 'text', 'user', true],
  ['label', 'text', 'User', true],
  ['refs', 'texts', [], true],
  ['alts', 'texts', [], true],
  ['metadata', 'record', {}, true],
];
const whom: Parameter = ['customer', 'text', 'ann', true];
const call = { type: 'tool_use', id: 'toolu_1', name: 'check_quota', input: { tokens: 1 } };
const stored: Parameter = ['customer', 'record', { id: 'new', plan: 'free', meters: {}, grants: {} }];

export const METHODS: [method: string, ...parameters: Parameter[]][] = [
  ['allow', customer, entitlement, value, event],
  ['check', customer, entitlement, value, event],
  ['increment', customer, entitlement, event],
  ['decrement', customer, entitlement, event],
  ['checkIncrement', customer, entitlement],
  ['checkDecrement', customer, entitlement],
  ['set', customer, entitlement, needed, event],
  ['explain', customer, entitlement, value, event],
  ['reserve', customer, entitlement, options],
  ['settle', customer, entitlement, hold, needed, event],
  ['release', customer, entitlement, hold],
  ['held', customer, entitlement],
  ['estimate', customer, entitlement, options],
  ['observe', customer, entitlement, needed, options],
  ['value', customer, entitlement, ...share],
  ['remaining', customer, entitlement, ...share],
  ['limit', customer, entitlement, ['grants', 'flag', true, true]],
  ['allowance', customer, entitlement],
  ['cost', customer, entitlement],
  ['resets', customer, entitlement],
  ['rate', customer, entitlement],
  ['acceleration', customer, entitlement],
  ['projectedExhaustion', customer, entitlement, ['smoothed', 'flag', false, true]],
  ['remainingCredit', customer, ['credit', 'text', 'token']],
  ['creditExchange', ['from', 'text', 'gift'], ['to', 'text', 'rune'], ['value', 'number', 1, true]],
  ['meterObject', customer, entitlement],
  ['limitObject', customer, entitlement],
  ['entitlement', customer, entitlement],
  ['credit', ['id', 'text', 'token']],
  ['creditFor', customer, entitlement],
  ['plan', ['id', 'text', 'pro']],
  ['defaultPlan'],
  ['planPeriod', ['id', 'text', 'pro']],
  ['planTrialPeriod', ['id', 'text', 'pro']],
  ['createCustomer', ...created],
  ['ensureCustomer', ...created],
  ['customer', id],
  ['customers'],
  ['setCustomer', stored, ['event', 'flag', true, true]],
  ['ensureSetCustomer', stored, ['event', 'flag', true, true]],
  ['loadCustomers', ['customers', 'records', []]],
  ['removeCustomer', ['id', 'text', 'nobody']],
  ['setCustomerPlan', id, ['plan', 'text', 'gold'], ['overwriteMeters', 'flag', false, true]],
  ['customerRefs', id],
  ['setCustomerRefs', id, ['refs', 'texts', []]],
  ['customerMetadata', id],
  ['addAltID', id, ['alt', 'text', 'ann@example.com']],
  ['removeAltID', id, ['alt', 'text', 'ann@example.com']],
  ['createCustomerOverride', customer, entitlement, ['options', 'record', { value: 5 }]],
  ['removeCustomerOverride', customer, entitlement],
  ['applyCustomerTopup', id, ['topup', 'text', 'pack']],
  ['ensureCustomerIncludedTopups', id],
  ['ensureCustomerPlanQuantity', id],
  ['addCustomerCap', id, needed, options],
  ['customerCap', id, ['cap', 'text', 'c1']],
  ['resetCustomerCap', id, ['cap', 'text', 'c1'], events],
  ['removeCustomerCap', id, ['cap', 'text', 'c1'], events],
  ['startMarginMeasurement', id],
  ['captureMarginMeasurement', id],
  ['customerMarginSnapshot', id],
  ['marginSnapshot', ['plan', 'text', 'pro'], ['usage', 'record', { tokens: 1 }], ['scaled', 'flag', true, true]],
  ['valid'],
  ['difference', ['other', 'record', {}]],
  ['setPlan', ['id', 'text', 'new'], ['plan', 'record', {}]],
  ['deletePlan', ['id', 'text', 'gold']],
  ['setNotifications', ['notifications', 'record', {}]],
  ['capability', ['name', 'text', 'quota']],
  ['runCapability', ['name', 'text', 'quota'], ['args', 'record', { tokens: 1 }, true], whom],
  ['claudeTools', whom],
  ['claudeToolUse', ['block', 'record', call], whom],
  ['setCapabilities', ['capabilities', 'record', {}]],
];
