/** What scenarios come to on the native engine. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ROOT, start, temporaryFolder } from './folders.js';

/** A line of `limitr test --trace`. What the engine takes and gives is JSON text. */
export interface Trace {
  file: string;
  name: string;
  now: number;
  policy: string;
  validate: boolean;
  valid: boolean;
  refused?: { code: string; message: string; problems?: object[] };
  steps: Step[];
  customers?: string;
}

export interface Step {
  verb: string;
  args: string;
  now: number;
  result?: string;
  error?: { code: string; message: string; hint?: string };
  events: Event[];
}

export interface Event {
  name: string;
  value: string;
}

/** Runs the scenarios below `paths` on the native engine. */
export async function traces(...paths: string[]): Promise<Trace[]> {
  const file = join(temporaryFolder(), 'trace.jsonl');
  const limitr = ['run', '--quiet', '--profile', 'test', '--bin', 'limitr', '--', 'test', '--trace', file, ...paths];
  // The first time it is built. Random steps may fail, and so the scenario (1): what they fail with is in the trace.
  const { code, out, err } = await start('cargo', limitr, ROOT, 900).ended;
  if (code !== 0 && code !== 1) throw new Error(`limitr test exits with ${code}\n${out}${err}`);
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines.map((line): Trace => JSON.parse(line));
}
