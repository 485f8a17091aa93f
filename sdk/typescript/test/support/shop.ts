/** A policy for tests: an access and a metered entitlement, a plan with soft limits and topups, prices and costs, a capability. */
import { Limitr } from '../../dist/node.js';

export const POLICY = `
policy:
  credits:
    token: {price: {amount: 0.01}, overhead_cost: 0.002}
    space: {stof_units: MB}
    fee: {price: {amount: 20}}
  exchange:
    gift: {value: 2, currency: rune}
  plans:
    free:
      default: true
      entitlements:
        access: {description: the door}
        tokens: {limit: {credit: token, value: 100, resets: true, reset_inc: 1day}}
        space: {limit: {credit: space, value: 1GB, increment: 10MB}}
    pro:
      label: Pro
      period: yearly
      trial_period: 7days
      entitlements:
        access: {}
        tokens: {limit: {credit: token, mode: soft, value: 1000, resets: true, reset_inc: 1day}}
        subscription: {limit: {credit: fee, mode: soft, value: 1}}
      topups:
        pack: {credit: token, value: 50}
        welcome: {credit: token, value: 5, included: true}
  capabilities:
    quota:
      name: check_quota
      description: Whether so many tokens would be allowed
      parameters: [{name: tokens, type: integer, required: true}]
      result: check('tokens', input.tokens)
`;

/** An engine on it, with customers `ann` (free) and `ben` (pro). */
export async function shop(): Promise<Limitr> {
  const policy = await Limitr.new(POLICY);
  policy.sync.createCustomer('ann');
  policy.sync.createCustomer('ben', 'pro');
  return policy;
}
