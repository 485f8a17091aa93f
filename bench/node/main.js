/**
 * `node bench/node/main.js [--quick] [--json]`: the TypeScript SDK beside its peers, one table of medians and ratios.
 *
 * Once before that: `cargo xtask wasm`, and `npm ci` in this folder.
 */
import { measureCalls } from './calls.js';
import { FULL, QUICK } from './measure.js';
import { measureMemory } from './memory.js';
import { measureSize } from './size.js';
import { measureStart } from './start.js';
import { Table } from './table.js';

const options = process.argv.slice(2);
const other = options.find((option) => !['--json', '--quick'].includes(option));
if (other !== undefined) {
  console.error(`unexpected argument \`${other}\`; there are \`--json\` and \`--quick\``);
  process.exit(2);
}
const quick = options.includes('--quick');

const table = new Table();
const parts = [
  () => measureCalls(table, quick ? QUICK : FULL),
  () => measureStart(table, quick),
  () => measureMemory(table, quick),
  () => measureSize(table),
];
for (const part of parts) {
  try {
    await part();
  } catch (error) {
    // What was measured before is worth minutes.
    console.error(error);
    table.skipped('the rest', error.message);
    process.exitCode = 1;
  }
}
console.log(options.includes('--json') ? JSON.stringify(table.toJson(), null, 2) : table.toText());
