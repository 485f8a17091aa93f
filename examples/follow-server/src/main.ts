import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

import { Limitr } from 'limitr';

/** What one question is taken for, in tokens. */
const TOKENS = 1000;

const policy = await Limitr.cloud({
  token: process.env['LIMITR_TOKEN'],
  onError: (error) => console.error(`limitr: ${error.message}`),
});
if (policy === undefined) process.exit(1);
policy.on('cloud-disconnected', ({ reason }) => console.error(`limitr: disconnected: ${reason}`));
policy.on('cloud-connected', () => console.error('limitr: connected again'));

const answer = async ({ method, url, headers }: IncomingMessage): Promise<[status: number, body: object]> => {
  if (url === '/healthz') return [policy.connected ? 200 : 503, { connected: policy.connected }];
  const user = headers['x-user'];
  if (method !== 'POST' || url !== '/chat' || typeof user !== 'string') return [404, { error: 'POST /chat, with x-user' }];
  // Known here, fetched from the server, or new.
  await policy.ensureCustomer(user, 'starter');
  if (await policy.allow(user, 'ai-chat-input', TOKENS)) {
    return [200, { answer: 'yes', remaining: await policy.remaining(user, 'ai-chat-input') }];
  }
  const { reason } = await policy.explain(user, 'ai-chat-input', TOKENS);
  return [reason === 'disconnected' ? 503 : 429, { error: reason }];
};

const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  void answer(request).then(([status, body]) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
});
server.listen(Number(process.env['PORT'] ?? 3000), () => {
  const address = server.address();
  console.log(`listening on http://127.0.0.1:${typeof address === 'object' ? address?.port : address}`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.closeAllConnections();
    server.close();
    void policy.close().then((stored) => (process.exitCode = stored ? 0 : 1));
  });
}
