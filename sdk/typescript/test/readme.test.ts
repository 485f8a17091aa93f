/** The programs of the README run as they stand there, and print what stands below them. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { PACKAGE, run, temporaryFolder } from './support/folders.js';
import { StandIn, TOKEN } from './support/stand-in.js';

interface Block {
  language: string;
  /** Line of its first fence, from 1. */
  line: number;
  /** The heading it stands under. */
  heading: string;
  text: string;
}

const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
const all = blocks(readme);
const programs = all.filter(({ language }) => language === 'ts');
const folder = temporaryFolder();
const file = ({ line }: Block): string => `line-${line}.ts`;
/** For the program that follows a server: one with the page's first policy. */
const server = await StandIn.start();

describe('README', () => {
  before(() => {
    // As a user has it: the package under its name, and what type checks need.
    mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
    symlinkSync(PACKAGE, join(folder, 'node_modules/limitr'));
    for (const beside of ['tsx', 'typescript', '@types/node']) {
      symlinkSync(join(PACKAGE, 'node_modules', beside), join(folder, 'node_modules', beside));
    }
    const policies = all.filter(({ language }) => language === 'yaml');
    for (const policy of policies) writeFileSync(join(folder, nameOf(policy)), policy.text);
    server.versions = [{ id: 'pol_1', number: 1, format: 'yaml', document: policies[0]?.text ?? '' }];
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    for (const program of programs) writeFileSync(join(folder, file(program)), program.text);
  });

  test('there are programs in it', () => assert.ok(programs.length >= 9, `${programs.length}`));

  for (const [index, program] of all.entries()) {
    if (program.language !== 'ts') continue;
    test(`line ${program.line}: ${program.heading}`, async () => {
      const told = all[index + 1];
      assert.equal(told?.language, 'text', 'what a program prints stands below it');
      const { wsAddress: LIMITR_WS_ADDRESS } = server.options();
      const env = { LIMITR_WS_ADDRESS, LIMITR_TOKEN: TOKEN };
      assert.equal(await run(process.execPath, ['--import', 'tsx', file(program)], folder, 60, env), told.text);
    });
  }

  test('the programs are of the types that the package has', async () => {
    const compilerOptions = {
      target: 'ES2022',
      module: 'NodeNext',
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: ['node'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    await run(process.execPath, ['node_modules/typescript/bin/tsc'], folder);
  });

  test('no line is longer than a screen', () => {
    const fenced = new Set(all.flatMap(({ line, text }) => text.split('\n').map((_, index) => line + index)));
    for (const [index, line] of readme.split('\n').entries()) {
      const free = line.startsWith('|') || fenced.has(index);
      assert.ok(free || line.length <= 120, `line ${index + 1} is longer than 120 columns`);
    }
  });

  test('what it links to is there', () => {
    const targets = [...readme.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target]) => target as string);
    const missing = targets.filter((target) => !existsSync(join(PACKAGE, target)));
    assert.deepEqual(missing, []);
  });
});

/** The name of a file, from what is said right before it. */
function nameOf({ line }: Block): string {
  const said = readme.split('\n', line - 1).join('\n');
  const [, name] = /`([\w.]+)`:\n\n$/.exec(`${said}\n`) ?? assert.fail(`line ${line}: the file has no name`);
  return name as string;
}

/** Fenced blocks, in their order. */
function blocks(page: string): Block[] {
  const found: Block[] = [];
  let open: Block | undefined;
  let heading = '';
  for (const [index, line] of page.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (open === undefined) {
      if (line.startsWith('#')) heading = line.replace(/^#+ /, '');
      if (fence !== null) open = { language: fence[1] ?? '', line: index + 1, heading, text: '' };
    } else if (fence !== null) {
      found.push(open);
      open = undefined;
    } else {
      open.text += `${line}\n`;
    }
  }
  return found;
}
