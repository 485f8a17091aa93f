import type { Limitr } from 'limitr';

import { type Prompt, stream } from './model.ts';

export type Ending = 'complete' | 'aborted' | 'out of tokens' | 'denied';

export interface Outcome {
  ending: Ending;
  /** Tokens that were reserved before the model was asked. */
  reserved: number;
  /** Tokens that were streamed and counted. */
  used: number;
}

/** Room that is added when a stream turns out longer than predicted. */
const BLOCK = 100;

/**
 * Streams a prompt's answer to `write`, within what the customer may still use.
 *
 * Room for the predicted tokens is reserved first, so that calls in parallel cannot promise the same tokens twice.
 * Afterwards the real number takes its place, and the prediction learns from it.
 */
export async function chat(
  policy: Limitr,
  server: string,
  customer: string,
  prompt: Prompt,
  write: (token: string) => void = () => {},
  signal?: AbortSignal,
): Promise<Outcome> {
  // Steps without `await` between them are one step: nobody else's call comes between. So the synchronous twin.
  const { sync } = policy;
  const context = { ...prompt };
  const expected = sync.estimate(customer, 'output', { context });
  let room = Math.ceil(expected?.value ?? sync.cost(customer, 'output') ?? BLOCK);
  const reserved = room;
  const hold = sync.reserve(customer, 'output', { value: room, context });
  if (hold === null) return { ending: 'denied', reserved: 0, used: 0 };

  const extra: string[] = [];
  let used = 0;
  let ending: Ending = 'complete';
  try {
    for await (const token of stream(server, prompt, signal)) {
      if (used === room) {
        const more = sync.reserve(customer, 'output', { value: BLOCK });
        if (more === null) {
          ending = 'out of tokens';
          break;
        }
        extra.push(more);
        room += BLOCK;
      }
      used += 1;
      write(token);
    }
  } catch (error) {
    ending = 'aborted';
    if (!signal?.aborted) throw error;
  } finally {
    if (ending === 'complete') {
      sync.settle(customer, 'output', hold, used);
    } else {
      // Tokens that were streamed count, but half an answer teaches nothing about whole ones.
      sync.allow(customer, 'output', used, { force: true });
      sync.release(customer, 'output', hold);
    }
    for (const more of extra) sync.release(customer, 'output', more);
  }
  return { ending, reserved, used };
}
