// The quick start with the TypeScript SDK: `node sdk/typescript/demo/quick-start.mjs`, once the SDK is built.
import { readFileSync } from 'node:fs';

import { Limitr } from '../dist/node.js';

// The policy of the command line's demo.
const document = readFileSync(new URL('../../../crates/limitr-cli/assets/quick-start.json', import.meta.url), 'utf8');

console.log('# Load a policy, create customers (TypeScript SDK)\n');
{
  const policy = await Limitr.new(document, 'json');
  await policy.createCustomer('user_starter', 'starter');
  await policy.createCustomer('user_growth', 'growth');
  console.log('Policy loaded. Customers created.');
  console.log('Starter limit:', await policy.limit('user_starter', 'ai-chat-input'));
  console.log('Growth limit: ', await policy.limit('user_growth', 'ai-chat-input'));
  await policy.close();
}

console.log('\n# Enforce a limit, hear of a denial\n');
{
  const policy = await Limitr.new(document, 'json');
  await policy.createCustomer('user_starter', 'starter');
  policy.on('meter-limit', ({ meter, customer, plan, entitlement, credit }) => {
    console.log(`  event: ${customer.id} hit the limit for ${entitlement}`);
    console.log(`  Used: ${meter.value} tokens. Total: ${meter.limit}. Attempted: ${meter.invalid}.`);
    console.log(`  Plan: ${plan}. Credit: ${credit.description}.`);
  });
  for (const tokens of [120_000, 95_000, 180_000, 60_000, 90_000]) {
    const allowed = await policy.allow('user_starter', 'ai-chat-input', tokens);
    const remaining = count(await policy.remaining('user_starter', 'ai-chat-input'));
    if (allowed) {
      await policy.allow('user_starter', 'ai-chat-output', tokens / 2.2);
      const output = count(await policy.value('user_starter', 'ai-chat-output'));
      console.log(`✓ Allowed ${count(tokens)} input tokens — ${remaining} remaining, ${output} output tokens used`);
    } else {
      console.log(`✗ Denied ${count(tokens)} tokens — limit exceeded (${remaining} remaining)`);
    }
  }
  await policy.close();
}

console.log('\n# Apply a credit grant\n');
{
  const policy = await Limitr.new(document, 'json');
  await policy.createCustomer('user_growth', 'growth');
  await policy.applyCustomerTopup('user_growth', 'ai-token-small');
  // What is left of it, from the customer's record.
  const grant = async () => {
    const { grants } = await policy.customer('user_growth');
    return Object.values(grants).find(({ topup }) => topup === 'ai-token-small');
  };
  const included = count(await policy.limit('user_growth', 'ai-chat-input', false));
  console.log(`Granted ${(await grant()).starting_value} AI tokens; ${included} input tokens are included`);
  for (const tokens of [520_000, 98_000, 200_000, 60_000, 900_000]) {
    const allowed = await policy.allow('user_growth', 'ai-chat-input', tokens);
    const verdict = allowed ? '✓ Allowed' : '✗ Denied';
    const used = count(await policy.value('user_growth', 'ai-chat-input'));
    console.log(`${verdict} ${count(tokens)} input tokens — ${used} used, ${(await grant()).value} AI tokens left`);
  }
  const { meters } = await policy.customer('user_growth');
  const { starting_value: start, value: left } = await grant();
  console.log(`Used: ${count(meters['ai-chat-input'].value)} input tokens`);
  console.log('Grant starting value:', start);
  console.log('Grant current value: ', Math.round(left * 100) / 100);
  await policy.close();
}

function count(number) {
  return number.toLocaleString('en-US', { maximumFractionDigits: 0 });
}
