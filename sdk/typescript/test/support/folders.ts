/** Folders and programs that tests use. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** The package. */
export const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));

/** An empty folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'limitr-test-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Ran {
  /** The exit code; null when a signal ended it. */
  code: number | null;
  out: string;
  err: string;
}

export interface Running {
  /** Resolves once the program has written this text to its standard output. */
  said(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  ended: Promise<Ran>;
}

/** Starts a program. */
export function start(program: string, args: string[], cwd: string, seconds = 60, env = {}): Running {
  const child = spawn(program, args, { cwd, timeout: seconds * 1000, env: { ...process.env, NO_COLOR: '1', ...env } });
  const ran: Ran = { code: null, out: '', err: '' };
  const waiting: { text: string; resolve: () => void }[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ran.out += text;
    for (const waits of waiting) if (ran.out.includes(waits.text)) waits.resolve();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
  const ended = new Promise<Ran>((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve({ ...ran, code }));
  });
  return {
    async said(text) {
      if (ran.out.includes(text)) return;
      const said = new Promise<void>((resolve) => waiting.push({ text, resolve }));
      const silent = ended.then(({ out, err }) => {
        if (!out.includes(text))
          throw new Error(`${program} ${args.join(' ')} ended without saying "${text}"\n${out}${err}`);
      });
      await Promise.race([said, silent]);
    },
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

/** Runs a program that must succeed; what it wrote to its standard output. */
export async function run(program: string, args: string[], cwd: string, seconds = 60, env = {}): Promise<string> {
  const { code, out, err } = await start(program, args, cwd, seconds, env).ended;
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} exits with ${code}\n${out}${err}`);
  return out;
}
