/** A project with the package in it, installed by npm under the name that the seeds know it by. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { PACKAGE, run, type Running, start, temporaryFolder } from './folders.js';

export const RUNTIMES = ['node', 'bun'] as const;
export type Runtime = (typeof RUNTIMES)[number];

export class Project {
  readonly folder = temporaryFolder();
  /** Added to the environment of what is run. */
  environment: Record<string, string> = {};
  #bun = '';

  /** The package as it is published, and what its tests have installed beside it. */
  static async create(): Promise<Project> {
    const project = new Project();
    const { folder } = project;
    // Packing must not build: the tests run on what is in dist/.
    await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], PACKAGE);
    const packed = readdirSync(folder).find((file) => file.endsWith('.tgz'));
    project.write('package.json', JSON.stringify({ name: 'limitr-quickstart', type: 'module', private: true }));
    const install = ['install', '--silent', '--offline', '--no-audit', '--no-fund'];
    // What it depends on is there already: npm need not ask a registry for it.
    const depended = join(PACKAGE, 'node_modules/ws');
    await run('npm', [...install, `@formata/limitr@file:./${packed}`, depended], folder);
    mkdirSync(join(folder, 'node_modules/@types'));
    for (const beside of ['tsx', 'ioredis', 'pg', 'typescript', '@types/node', '@types/pg']) {
      symlinkSync(join(PACKAGE, 'node_modules', beside), join(folder, 'node_modules', beside));
    }
    project.#bun = await bun();
    return project;
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /** Runs a file with what it is given as arguments. */
  start(runtime: Runtime, file: string, ...args: string[]): Running {
    return runtime === 'bun'
      ? start(this.#bun, ['run', file, ...args], this.folder, 60, this.environment)
      : start(process.execPath, ['--import', 'tsx', file, ...args], this.folder, 60, this.environment);
  }

  /** What a file prints; it must succeed. */
  async prints(runtime: Runtime, file: string, ...args: string[]): Promise<string> {
    const { code, out, err } = await this.start(runtime, file, ...args).ended;
    if (code !== 0) throw new Error(`${runtime} ${file} exits with ${code}\n${out}${err}`);
    return out;
  }

  /** Checks the types of all files of the project as strictly as can be expected of users. */
  async checkTypes(): Promise<void> {
    const compilerOptions = {
      target: 'ES2022',
      module: 'ESNext',
      moduleResolution: 'bundler',
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: ['node'],
      lib: ['ES2022', 'ESNext.Disposable'],
    };
    this.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    await run(process.execPath, ['node_modules/typescript/bin/tsc'], this.folder);
  }
}

/** Bun's program. Where npm did not run the script that puts it in its place, it is run here. */
async function bun(): Promise<string> {
  const program = join(PACKAGE, 'node_modules/bun/bin/bun.exe');
  const works = (): Promise<boolean> =>
    start(program, ['--version'], PACKAGE).ended.then(
      ({ code }) => code === 0,
      () => false,
    );
  if (!(await works())) await run(process.execPath, ['install.js'], join(PACKAGE, 'node_modules/bun'));
  if (!(await works())) throw new Error('Bun does not run');
  return program;
}
