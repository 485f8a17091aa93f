/** How long it takes until the first call can be made. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { spread } from './measure.js';

const PROGRAM = fileURLToPath(new URL('start-process.js', import.meta.url));
const PLANS = 50;
const TARGET_MS = 50;

export async function measureStart(table, quick) {
  table.group(`start: Limitr.new and valid() of a policy with ${PLANS} plans`);
  const times = quick ? 3 : 31;
  for (const format of ['yaml', 'json']) {
    const runs = [];
    for (let time = 0; time < times; time += 1) {
      const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, format, String(PLANS)]);
      runs.push(JSON.parse(stdout));
    }
    const median = (of) => spread(runs.map(of)).median;
    table.figure(`fresh process, ${format}, with import`, median(({ load, first }) => load + first), 'ms', TARGET_MS);
    table.figure(`fresh process, ${format}, without import`, median(({ first }) => first), 'ms', TARGET_MS);
    table.figure(`fresh engine, ${format}, after others`, median(({ later }) => later), 'ms', TARGET_MS);
  }
}
