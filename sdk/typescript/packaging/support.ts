/** What the packaging tests and the examples' runner share. */
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export const HERE = fileURLToPath(new URL('.', import.meta.url));
export const SDK = fileURLToPath(new URL('..', import.meta.url));
/** Everything made here: the tarball, screenshots. */
export const OUT = join(HERE, '.out');
export const TARBALL = join(OUT, 'limitr.tgz');
export const CHROMIUM = '/usr/bin/chromium';

interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
}

/** Runs a program to its end and returns what it printed; throws all of it when the program fails. */
export async function run(command: string, args: string[], options: RunOptions = {}): Promise<string> {
  const result = await attempt(command, args, options);
  if (result.code === 0) return result.stdout;
  throw new Error(`${command} ${args.join(' ')} ended with ${result.code}:\n${result.stdout}${result.stderr}`);
}

/** Runs a program to its end, however that is. */
export function attempt(
  command: string,
  args: string[],
  { cwd = HERE, env = {} }: RunOptions = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

let temporary: string | undefined;

/** A folder that is gone with this process: later than any server that a test started in it. */
function temporaryFolder(name: string): string {
  if (temporary === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'limitr-'));
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    temporary = made;
  }
  return mkdtempSync(join(temporary, `${name}-`));
}

/** A fresh folder with the files of `projects/<name>` and the tarball installed, with what it depends on. */
export async function project(name: string): Promise<string> {
  const folder = temporaryFolder(name);
  cpSync(join(HERE, 'projects', name), folder, { recursive: true });
  const flags = ['--offline', '--no-audit', '--no-fund', '--no-package-lock'];
  // From a folder: npm need not ask a registry for it.
  await run('npm', ['install', ...flags, TARBALL, join(SDK, 'node_modules/ws')], { cwd: folder });
  return folder;
}

/** A program inside an npm package, installed by {@link install} without its scripts or by npm with them. */
function binary(...candidates: string[]): string {
  const roots = [join(HERE, 'node_modules'), join(SDK, 'node_modules')];
  const found = candidates.flatMap((file) => roots.map((root) => join(root, file))).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`none of ${candidates.join(', ')} is installed`);
  return found;
}

/** The programs that run JavaScript with files. */
export const runtimes = {
  Node: () => process.execPath,
  Bun: () => binary(`@oven/bun-${process.platform}-${architecture('aarch64')}/bin/bun`, 'bun/bin/bun.exe'),
  Deno: () => {
    const platform = `${process.platform}-${architecture('arm64')}${process.platform === 'linux' ? '-glibc' : ''}`;
    return binary(`@deno/${platform}/deno`, 'deno/deno');
  },
};

function architecture(arm: string): string {
  return process.arch === 'arm64' ? arm : 'x64';
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Starts a server, waits until it answers at `url`, and ends it with the test. */
export async function serve(t: TestContext, url: string, args: string[], cwd: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (output += text));
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.after(async () => {
    child.kill();
    await ended;
  });
  for (const until = Date.now() + 30_000; Date.now() < until && child.exitCode === null; ) {
    if (await fetch(url).then((response) => response.ok, () => false)) return child;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no answer at ${url} from ${args.join(' ')}:\n${output}`);
}
