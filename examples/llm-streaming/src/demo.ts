import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';

import { Limitr } from 'limitr';

import { chat, type Ending, type Outcome } from './chat.ts';
import { modelServer, type Prompt } from './model.ts';

const CUSTOMER = 'acme';
const ROUNDS = 8;
const PARALLEL = 8;

export interface Round extends Record<Ending, number> {
  /** What was reserved for complete answers, in percent of what they used. */
  'reserved of used': string;
}

export interface Summary {
  outcomes: Outcome[];
  rounds: Round[];
  limit: number;
  /** What the meter says at the end, and the most it ever said. */
  used: number;
  highest: number;
  held: number;
  /** Output tokens expected of a prompt of 200 tokens. */
  learned: { summary: number; story: number };
}

/** Rounds of calls in parallel, until after the limit is used up. */
export async function demo(): Promise<Summary> {
  const random = seeded(7);
  const server = modelServer(random).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const policy = await loadPolicy();
  await policy.createCustomer(CUSTOMER);
  let highest = 0;
  policy.on('meter-changed', ({ meter }) => (highest = Math.max(highest, meter.value)));

  const rounds: Outcome[][] = [];
  while (rounds.length < ROUNDS) {
    const calls = Array.from({ length: PARALLEL }, (_, call) => {
      const task = call % 2 === 0 ? 'summary' : 'story';
      const prompt: Prompt = { task, prompt_tokens: 100 + Math.floor(200 * random()) };
      return call === PARALLEL - 1 ? leaveAfter(30, policy, url, prompt) : chat(policy, url, CUSTOMER, prompt);
    });
    rounds.push(await Promise.all(calls));
  }

  const expected = async (task: string): Promise<number> => {
    const context = { task, prompt_tokens: 200 };
    return Math.round((await policy.estimate(CUSTOMER, 'output', { context, quantile: 0.5 }))?.value ?? 0);
  };
  const summary = {
    outcomes: rounds.flat(),
    rounds: rounds.map(summarize),
    limit: (await policy.limit(CUSTOMER, 'output')) ?? 0,
    used: (await policy.value(CUSTOMER, 'output')) ?? 0,
    highest,
    held: (await policy.held(CUSTOMER, 'output')) ?? 0,
    learned: { summary: await expected('summary'), story: await expected('story') },
  };
  await policy.close();
  server.close();
  server.closeAllConnections();
  return summary;
}

export async function loadPolicy(): Promise<Limitr> {
  return Limitr.new(await readFile(new URL('../policy.yaml', import.meta.url), 'utf8'));
}

/** A reader who hangs up in the middle of the answer. */
function leaveAfter(tokens: number, policy: Limitr, url: string, prompt: Prompt): Promise<Outcome> {
  const leave = new AbortController();
  let read = 0;
  return chat(policy, url, CUSTOMER, prompt, () => ++read === tokens && leave.abort(), leave.signal);
}

function summarize(outcomes: Outcome[]): Round {
  const ended = (ending: Ending): Outcome[] => outcomes.filter((outcome) => outcome.ending === ending);
  const sum = (of: 'reserved' | 'used'): number => ended('complete').reduce((total, outcome) => total + outcome[of], 0);
  return {
    complete: ended('complete').length,
    aborted: ended('aborted').length,
    'out of tokens': ended('out of tokens').length,
    denied: ended('denied').length,
    'reserved of used': sum('used') === 0 ? '' : `${Math.round((100 * sum('reserved')) / sum('used'))}%`,
  };
}

/** Random numbers that are the same in every run (mulberry32). */
function seeded(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
