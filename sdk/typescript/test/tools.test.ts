/** The loop of a program that gives a language model tools, with a model made up here: it speaks the Messages API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Limitr, type Tool, type ToolResult, type ToolUse } from '../dist/node.js';

const POLICY = `
policy:
  credits:
    token: {price: {amount: 0.00002}}
  plans:
    free:
      default: true
      entitlements:
        chat: {limit: {credit: token, value: 1000, resets: true, reset_inc: 1day}}
    pro:
      entitlements:
        chat: {limit: {credit: token, value: 100000, resets: true, reset_inc: 1day}}
  capabilities:
    can_afford:
      description: Whether a call of this many tokens would be allowed
      parameters:
        - {name: tokens, type: integer, description: Size of the call, required: true}
      result: check('chat', input.tokens)
    usage:
      name: get_usage
      description: What the customer has used and has left
      result: "{'used': value('chat'), 'left': remaining('chat'), 'plan': customer.plan}"
    priority:
      description: Puts the customer's question before others
      plans: [pro]
      result: "'done'"
`;

interface Text {
  type: 'text';
  text: string;
}
type Message =
  | { role: 'user'; content: string | ToolResult[] }
  | { role: 'assistant'; content: (Text | ToolUse)[] };

interface Request {
  tools: Tool[];
  messages: Message[];
}
interface Response {
  stop_reason: 'tool_use' | 'end_turn';
  content: (Text | ToolUse)[];
}

/** Refuses what the Messages API refuses, then takes its next turn. */
function model(turns: ((request: Request, answers: Map<string, ToolResult>) => Response)[]) {
  return async (request: Request): Promise<Response> => {
    for (const { name, input_schema: schema } of request.tools) {
      assert.match(name, /^[a-zA-Z0-9_-]{1,64}$/);
      assert.equal(schema.type, 'object');
      assert.ok(schema.required.every((field) => field in schema.properties));
    }
    const answers = new Map<string, ToolResult>();
    for (const [at, message] of request.messages.entries()) {
      assert.equal(message.role, at % 2 === 0 ? 'user' : 'assistant');
      if (message.role !== 'assistant') continue;
      const asked = message.content.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
      const next = request.messages[at + 1]?.content;
      assert.ok(Array.isArray(next), 'results follow the calls');
      const results = next as ToolResult[];
      assert.deepEqual(results.map(({ tool_use_id }) => tool_use_id), asked, 'each call has its result');
      for (const result of results) {
        assert.equal(result.type, 'tool_result');
        assert.equal(typeof result.content, 'string');
        answers.set(result.tool_use_id, result);
      }
    }
    const turn = turns.shift();
    assert.ok(turn !== undefined, 'the model has nothing left to say');
    return turn(request, answers);
  };
}

/** The program: as one with the API's own client would be. */
async function ask(policy: Limitr, customer: string, create: ReturnType<typeof model>, question: string): Promise<string> {
  const tools = await policy.claudeTools(customer);
  const messages: Message[] = [{ role: 'user', content: question }];
  for (;;) {
    const response = await create({ tools, messages });
    if (response.stop_reason !== 'tool_use') {
      return response.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
    }
    messages.push({ role: 'assistant', content: response.content });
    const results: ToolResult[] = [];
    for (const block of response.content) {
      if (block.type === 'tool_use') results.push(await policy.claudeToolUse(block, customer));
    }
    messages.push({ role: 'user', content: results });
  }
}

const use = (id: string, name: string, input: unknown): ToolUse => ({ type: 'tool_use', id, name, input });

test('a model asks what it may do, mends its mistakes, and answers', async () => {
  using policy = await Limitr.new(POLICY);
  await policy.createCustomer('ann');
  await policy.allow('ann', 'chat', 300);
  const before = JSON.stringify(await policy.customers());
  const create = model([
    // Two calls in one turn, beside text.
    ({ tools }) => {
      assert.deepEqual(tools.map(({ name }) => name), ['can_afford', 'get_usage']);
      const [{ input_schema: schema } = assert.fail()] = tools;
      assert.deepEqual(schema.properties, { tokens: { type: 'integer', description: 'Size of the call' } });
      assert.deepEqual(schema.required, ['tokens']);
      const content = [use('toolu_1', 'can_afford', { tokens: '800' }), use('toolu_2', 'get_usage', {})];
      return { stop_reason: 'tool_use', content: [{ type: 'text', text: 'Let me see.' }, ...content] };
    },
    // The first was wrong, and says how.
    (_, answers) => {
      const { content, is_error } = answers.get('toolu_1') ?? assert.fail();
      assert.equal(is_error, true);
      assert.match(content, /`tokens` must be of type integer/);
      const usage = answers.get('toolu_2') ?? assert.fail();
      assert.equal(usage.is_error, undefined);
      assert.deepEqual(JSON.parse(usage.content), { used: 300, left: 700, plan: 'free' });
      return {
        stop_reason: 'tool_use',
        content: [use('toolu_3', 'can_afford', { tokens: 800 }), use('toolu_4', 'priority', {})],
      };
    },
    // A tool of another plan is none.
    (_, answers) => {
      assert.equal(answers.get('toolu_3')?.content, 'false');
      assert.equal(answers.get('toolu_4')?.is_error, true);
      return { stop_reason: 'tool_use', content: [use('toolu_5', 'can_afford', { tokens: 700 })] };
    },
    (_, answers) => ({
      stop_reason: 'end_turn',
      content: [{ type: 'text', text: answers.get('toolu_5')?.content === 'true' ? 'Up to 700 tokens.' : 'No.' }],
    }),
  ]);
  assert.equal(await ask(policy, 'ann', create, 'May I send 800 tokens?'), 'Up to 700 tokens.');
  // Asking has metered nothing.
  assert.equal(JSON.stringify(await policy.customers()), before);
});

test('tools are those of the customer at that time', async () => {
  using policy = await Limitr.new(POLICY);
  await policy.createCustomer('ann');
  const names = async (): Promise<string[]> => (await policy.claudeTools('ann')).map(({ name }) => name);
  assert.deepEqual(await names(), ['can_afford', 'get_usage']);
  await policy.setCustomerPlan('ann', 'pro');
  assert.deepEqual(await names(), ['can_afford', 'get_usage', 'priority']);
  assert.equal((await policy.claudeToolUse(use('toolu_1', 'priority', {}), 'ann')).content, 'done');
  await policy.setCapabilities({ ping: { description: 'Answers', result: "'pong'" } });
  assert.deepEqual(await names(), ['ping']);
});
