/** What many calls leave behind in memory. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PROGRAM = fileURLToPath(new URL('memory-process.js', import.meta.url));
const MB = 1024 * 1024;
const MEMORIES = [['WebAssembly memory', 'wasm'], ['resident memory', 'rss'], ['JavaScript heap', 'heap']];

export async function measureMemory(table, quick) {
  const scale = quick ? 50 : 1;
  for (const [handler, calls] of [['none', 5_000_000 / scale], ['handler', 500_000 / scale]]) {
    const what = handler === 'none' ? 'calls of all kinds' : 'calls with a handler';
    table.group(`memory: ${calls.toLocaleString('en-US')} ${what}`);
    const program = ['--expose-gc', PROGRAM, handler, String(calls)];
    const { stdout } = await promisify(execFile)(process.execPath, program);
    const { start, end } = JSON.parse(stdout);
    for (const [name, key] of MEMORIES) {
      table.figure(`${name}, start`, start[key] / MB, 'MiB');
      table.figure(`${name}, end`, end[key] / MB, 'MiB');
    }
  }
}
