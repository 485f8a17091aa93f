/** The samples of the public guides that connect to a server, and the programs that they are parts of. */
import { Page } from './page.js';

const IMPORT = "import { Limitr } from '@formata/limitr';";
const CONNECT = 'const policy = await Limitr.cloud({ token: process.env.LIMITR_TOKEN });';
const CHECKED = "if (!policy) throw new Error('Failed to connect to Limitr Cloud — check your token');";

const cloud = new Page(new URL('../seeds/cloud-quick-start.txt', import.meta.url));
const quickStart = new Page(new URL('../seeds/quick-start.txt', import.meta.url));
const guide = new Page(new URL('../seeds/customer-state-guide.txt', import.meta.url));

export const page = cloud;

const connect = cloud.take({ under: 'Connect', first: IMPORT, last: CONNECT });
const checked = cloud.take({ under: connect[1]!, first: CONNECT, last: CHECKED });
const pinned = cloud.take({
  under: 'To pin to a specific policy version rather than always receiving the latest (rarely recommended):',
  first: 'const policy = await Limitr.cloud({',
  last: "// omit 'policy' (or use 'active') to always receive the latest published version",
});
const denying = cloud.take({
  under: 'denyUnconnected',
  first: 'const policy = await Limitr.cloud({',
  last: '});',
});
const shutdown = cloud.take({
  under: 'Graceful shutdown',
  first: "process.on('SIGTERM', async () => {",
  last: '});',
});
/** What can be given, with a type where a value would stand. */
const options = cloud.take({
  under: 'Full initialization options',
  first: 'const policy = await Limitr.cloud({',
  last: '});',
});
// The two halves would declare `policy` twice.
cloud.take({
  under: 'From local to Cloud',
  first: '// Before',
  last: "const policy = await Limitr.new(readFileSync('./policy.yaml', 'utf-8'), 'yaml');",
});
const moved = cloud.take({
  under: 'From local to Cloud',
  first: '// After — remove the file, remove the format arg, add the token',
  last: "const remaining = await policy.remaining('user_abc', 'chat_input');",
});

const oneLine = quickStart
  .take({
    under: 'Switching to Cloud is a one-line change:',
    first: '// Local (open source)',
    last: 'const policy = await Limitr.cloud({ token });',
  })
  .slice(-1);
const startup = guide.take({ under: 'Cloud mode: startup workflow', first: CONNECT, last: 'app.listen(3000);' });
const warming = guide.take({ under: 'Warming the cache', first: CONNECT, last: 'app.listen(3000);' });

const serving = "const app = { listen: (port: number) => console.log('listening on', port) };";
/** A database with as many active customers as the guide's query may give. */
const database = [
  'const rows = Array.from({ length: 1000 }, (_, row) => ({ id: `user_${row}`, plan: row % 2 ? "starter" : "growth" }));',
  'const db = { query: async (sql: string) => ({ rows: sql.endsWith("LIMIT 1000") ? rows : [] }) };',
];

/** Programs: the samples, unchanged, and around them what the guides leave to their readers. */
export const programs = {
  'connect.ts': [...connect, "console.log(policy ? 'connected' : 'not connected');"],
  'checked.ts': [IMPORT, ...checked, "console.log(await policy.limit('starter', 'chat_input'));"],
  'pinned.ts': [IMPORT, ...pinned, "console.log(policy ? 'connected' : 'not connected');"],
  'denying.ts': [IMPORT, ...denying, "console.log(policy ? 'connected' : 'not connected');"],
  'shutdown.ts': [
    IMPORT,
    ...checked,
    ...shutdown,
    "await policy.ensureCustomer('user_term', 'starter');",
    "await policy.allow('user_term', 'chat_input', 700);",
    "console.log('serving');",
    'setInterval(() => undefined, 1000);',
  ],
  'moved.ts': [IMPORT, ...moved, 'console.log(allowed, remaining);'],
  'one-line.ts': [IMPORT, 'const token = process.env.LIMITR_TOKEN;', ...oneLine, "console.log(policy ? 'connected' : 'not connected');"],
  'startup.ts': [IMPORT, serving, ...startup],
  'warming.ts': [
    IMPORT,
    serving,
    ...database,
    // The guide has shown before that it may be undefined.
    ...warming.flatMap((line) => (line === CONNECT ? [line, "if (!policy) throw new Error('Cloud connection failed');"] : [line])),
    'console.log(Object.keys(await policy.customers()).length, await policy.limit("user_0", "chat_input"));',
  ],
  // Only its types can be tried.
  'options.ts': [
    IMPORT,
    ...options.map((line) => line.replace('const policy = await Limitr.cloud({', 'declare const given: {').replace('});', '};')),
    'export const connected = (): ReturnType<typeof Limitr.cloud> => Limitr.cloud(given);',
  ],
};
