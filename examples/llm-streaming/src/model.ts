import { createServer, type Server, type ServerResponse } from 'node:http';
import { setImmediate as nextTick } from 'node:timers/promises';

/** How many tokens the model writes per token of a prompt, and how much that varies. */
const VERBOSITY = { summary: { mean: 0.4, spread: 0.1 }, story: { mean: 3, spread: 0.2 } };

export type Task = keyof typeof VERBOSITY;

export interface Prompt {
  task: Task;
  prompt_tokens: number;
}

/** A stand-in for a model's server: streams events of one token each, as long as somebody reads. */
export function modelServer(random: () => number): Server {
  return createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    await answer(JSON.parse(body), random, response);
  });
}

async function answer({ task, prompt_tokens }: Prompt, random: () => number, response: ServerResponse): Promise<void> {
  const { mean, spread } = VERBOSITY[task];
  const length = Math.max(1, Math.round(prompt_tokens * mean * (1 + spread * (2 * random() - 1))));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let token = 1; token <= length && !response.destroyed; token += 1) {
    response.write(`data: ${JSON.stringify({ token: `w${token}` })}\n\n`);
    if (token % 20 === 0) await nextTick();
  }
  response.end('data: [DONE]\n\n');
}

/** The tokens of a prompt's answer, as they arrive. Leaving the loop closes the connection. */
export async function* stream(server: string, prompt: Prompt, signal?: AbortSignal): AsyncGenerator<string> {
  const response = await fetch(server, { method: 'POST', body: JSON.stringify(prompt), ...(signal && { signal }) });
  let rest = '';
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (rest + text).split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      const data = event.slice('data: '.length);
      if (data === '[DONE]') return;
      signal?.throwIfAborted();
      yield (JSON.parse(data) as { token: string }).token;
    }
  }
}
