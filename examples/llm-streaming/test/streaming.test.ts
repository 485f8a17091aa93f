import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import { chat } from '../src/chat.ts';
import { demo, loadPolicy } from '../src/demo.ts';

test('parallel streams stay within the hard limit, and reserve less once usage is learned', async () => {
  const { outcomes, rounds, limit, used, highest, held, learned } = await demo();
  assert.ok(highest <= limit, `the meter reached ${highest} of ${limit}`);
  assert.equal(outcomes.reduce((total, outcome) => total + outcome.used, 0), used);
  assert.equal(held, 0);

  const denied = outcomes.filter(({ ending }) => ending === 'denied');
  assert.ok(denied.length > 0, 'the limit was not reached');
  assert.ok(denied.every((outcome) => outcome.used === 0));
  // Little is left when calls are denied: the room of one story.
  assert.ok(limit - used < 1500, `${limit - used} tokens are left`);

  const reserved = rounds.map((round) => parseInt(round['reserved of used'], 10));
  assert.ok(reserved[0]! > 250, `round 1 reserved ${reserved[0]}%`);
  for (const percent of reserved.slice(2, 5)) assert.ok(percent > 85 && percent < 150, reserved.join());
  assert.ok(Math.abs(learned.summary - 80) < 8, `a summary: ${learned.summary}`);
  assert.ok(Math.abs(learned.story - 600) < 60, `a story: ${learned.story}`);
});

test('an aborted answer counts what was read and releases the rest', async () => {
  const { outcomes } = await demo();
  const aborted = outcomes.filter(({ ending }) => ending === 'aborted');
  assert.ok(aborted.length > 0);
  for (const { used } of aborted) assert.equal(used, 30);
});

test('nothing is counted or held when the reader leaves first, or the model fails', async () => {
  const policy = await loadPolicy();
  await policy.createCustomer('acme');
  const prompt = { task: 'story', prompt_tokens: 100 } as const;
  const left = await chat(policy, 'http://127.0.0.1:1', 'acme', prompt, undefined, AbortSignal.abort());
  assert.deepEqual([left.ending, left.used], ['aborted', 0]);

  const broken = createServer((_, response) => response.destroy()).listen(0, '127.0.0.1');
  await once(broken, 'listening');
  const url = `http://127.0.0.1:${(broken.address() as AddressInfo).port}`;
  await assert.rejects(chat(policy, url, 'acme', prompt), TypeError);
  broken.close();

  assert.deepEqual([await policy.value('acme', 'output'), await policy.held('acme', 'output')], [0, 0]);
  assert.equal(await policy.estimate('acme', 'output', { context: prompt }), null);
  await policy.close();
});
