import type { Customer, Meter } from './records.js';

const INSPECT = Symbol.for('nodejs.util.inspect.custom');
const STATISTICS = new Set(['history', 'ewma_rate']);

/** On a console a meter is what it counts. Its statistics are there all the same, for programs and in JSON. */
export function printable(customer: Customer): Customer {
  const inspect = {
    enumerable: false,
    value(this: Meter): unknown {
      return Object.fromEntries(Object.entries(this).filter(([field]) => !STATISTICS.has(field)));
    },
  };
  for (const meter of Object.values(customer.meters)) Object.defineProperty(meter, INSPECT, inspect);
  return customer;
}
