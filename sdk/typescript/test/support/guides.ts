/** The samples of the public guides, and the programs that they are parts of. */
import { Page } from './page.js';

const IMPORT = "import { Limitr } from '@formata/limitr';";
const REQUEST = "await policy.allow('user_starter', 'ai-chat-input', tokens);";
const GRANT_LEFT = "console.log('Grant current value: ', Math.round(grant.value * 100) / 100);";
const RENDERS = 'The policy itself is serializable too, useful for driving pricing UI components directly:';
const ENSURE = "await policy.ensureCustomer(userId, 'starter');";

const quickStart = new Page(new URL('../seeds/quick-start.txt', import.meta.url));
const guide = new Page(new URL('../seeds/customer-state-guide.txt', import.meta.url));

export const pages = { quickStart, guide };

export const policyJson = quickStart.take({ under: 'policy.json', first: '{"policy": {', last: '}}' }).join('\n');

const load = quickStart.take({
  under: 'Load the policy and create customers',
  first: IMPORT,
  last: "console.log('Growth limit: ', await policy.limit('user_growth', 'ai-chat-input'));",
});
const enforce = quickStart.take({
  under: 'Enforce a limit',
  first: IMPORT,
  last: ['console.log(`no ai-chat-access on this plan`);', '}', '}'],
});
const event = quickStart.take({ under: 'Handle an event', first: IMPORT, last: [REQUEST, '}'] });
const state = quickStart.take({
  under: 'Read customer state',
  first: "const customer = await policy.customer('user_starter');",
  last: 'console.log(`Usage: ${pct}% of daily token budget`);',
});
const render = quickStart.take({
  under: RENDERS,
  first: 'const obj = policy.doc.record(); // JS Record',
  last: "const toml = policy.doc.stringify('toml');",
});
const grant = quickStart.take({ under: 'Apply a credit grant', first: IMPORT, last: [GRANT_LEFT, '}', '}'] });

/** What the quick start says that its samples print. */
export const printed = {
  load: quickStart.take({
    under: 'bun run index.ts',
    first: 'Policy loaded. Customers created.',
    last: 'Growth limit: 700000',
  }),
  enforce: quickStart.take({
    under: 'Enforce a limit',
    first: '✓ Allowed 120,000 input tokens — 380,000 remaining, 54,545 output tokens used',
    last: '✗ Denied 90,000 tokens — limit exceeded (45,000 remaining)',
  }),
  event: quickStart.take({
    under: REQUEST,
    first: 'Customer user_starter hit their limit for ai-chat-input.',
    last: 'Plan: starter. Credit: Input tokens for Claude Sonnet 4.',
  }),
  grant: quickStart.take({ under: GRANT_LEFT, first: '{', last: 'Grant current value: 5.69' }),
};

const ensure = guide.take({
  under: 'ensureCustomer() is the right call in both modes',
  first: '// Safe to call on every request — only does work when necessary',
  last: ENSURE,
});
const firstTime = guide.take({
  under: ENSURE,
  first: "const isNew = await policy.ensureCustomer(userId, 'starter');",
  last: '}',
});
const snapshot = guide.take({
  under: 'Local engine: persisting state',
  first: 'const snapshot = await policy.customers();',
  last: '// }',
});
const onEvents = guide.take({
  under: 'When to snapshot',
  first: "policy.addHandler('persist', async (key: string) => {",
  last: '});',
});
const periodic = guide.take({
  under: 'When to snapshot',
  first: 'setInterval(async () => {',
  last: '}, 10_000); // every 10 seconds',
});
const shutdown = guide.take({ under: 'When to snapshot', first: "process.on('SIGTERM', async () => {", last: '});' });
const toRedis = "await redis.set('limitr:customers', JSON.stringify(snapshot));";
const redis = guide.take({ under: 'Where to store the snapshot', first: toRedis, last: toRedis });
const postgres = guide.take({ under: 'Where to store the snapshot', first: 'await db.query(', last: ');' });
const restore = guide.take({
  under: 'Local engine: restoring state on startup',
  first: IMPORT,
  last: 'app.listen(3000);',
});

// Limitr Cloud: see `cloud-guides.ts`.
const connect = 'const policy = await Limitr.cloud({ token: process.env.LIMITR_TOKEN });';
quickStart.take({
  under: 'Switching to Cloud is a one-line change:',
  first: '// Local (open source)',
  last: 'const policy = await Limitr.cloud({ token });',
});
guide.take({ under: 'Cloud mode: startup workflow', first: connect, last: 'app.listen(3000);' });
guide.take({ under: 'Warming the cache', first: connect, last: 'app.listen(3000);' });

/** An engine on the guide's policy. */
const onPolicy = [
  IMPORT,
  "import { readFileSync } from 'fs';",
  "const policy = await Limitr.new(readFileSync('./policy.yaml', 'utf-8'), 'yaml');",
];
const using = (tokens: number): string[] => [
  "await policy.createCustomer('user_1', 'starter');",
  `await policy.allow('user_1', 'ai_tokens', ${tokens});`,
];
/** Redis, where the first argument says. */
const onRedis = [
  "import { Redis } from 'ioredis';",
  "const redis = new Redis(JSON.parse(process.argv[2] ?? '{}'));",
  'const db = redis;',
];
/** Ends once the snapshot is written. */
const written = [
  "while (!(await redis.exists('limitr:customers'))) await new Promise((resolve) => setTimeout(resolve, 5));",
  'redis.disconnect();',
];
/** PostgreSQL, where the first argument says. */
const onPostgres = (client: string): string[] => [
  "import pg from 'pg';",
  `const ${client} = new pg.Client(JSON.parse(process.argv[2] ?? '{}'));`,
  `await ${client}.connect();`,
];
const serving = "const app = { listen: (port: number) => console.log('listening on', port) };";
const used = "console.log('used', await policy.value('user_1', 'ai_tokens'));";

/** Programs: the samples, unchanged, and around them what the guides leave to their readers. */
export const programs = {
  'load.ts': load,
  'enforce.ts': enforce,
  'event.ts': event,
  'grant.ts': grant,
  'state.ts': [...event, ...state],
  'render.ts': [...load, ...render, "console.log('rendered', JSON.stringify({ obj, json, yaml, toml }));"],
  'ensure.ts': [
    ...onPolicy,
    'async function request(userId: string) {',
    ...ensure,
    '}',
    'async function signUp(userId: string) {',
    ...firstTime,
    'return isNew;',
    '}',
    "await request('user_1');",
    "console.log(await signUp('user_1'), await signUp('user_2'), await signUp('user_2'));",
    'console.log(JSON.stringify(await policy.customers()));',
  ],
  'on-events.ts': [...onPolicy, ...onRedis, ...onEvents, ...using(400), ...written],
  'periodic.ts': [
    ...onPolicy,
    ...onRedis,
    ...using(300),
    '// Ten seconds are long for a test.',
    'const setInterval = (task: () => void, ms: number) => { console.log(`every ${ms} ms`); setTimeout(task, 10); };',
    ...periodic,
    ...written,
  ],
  'shutdown.ts': [...onPolicy, ...onRedis, ...using(200), ...shutdown, "console.log('serving');"],
  'redis.ts': [...onPolicy, ...onRedis, ...using(100), ...snapshot, ...redis, ...written],
  'restore.ts': [...onRedis, serving, ...restore, used, 'redis.disconnect();'],
  'postgres.ts': [...onPolicy, ...onPostgres('db'), ...using(50), ...snapshot, ...postgres, 'await db.end();'],
  'restore-postgres.ts': [
    ...onPostgres('sql'),
    'const db = { async get(key: string) {',
    "const { rows } = await sql.query('SELECT value FROM limitr_state WHERE key = $1', [key.replace('limitr:', '')]);",
    'return rows[0] && JSON.stringify(rows[0].value);',
    '} };',
    serving,
    ...restore,
    used,
    'await sql.end();',
  ],
};
