// A server and three engines on it, two in Node and one in Rust: what they use adds up, a change of the policy reaches
// them while they run, and every customer's margin is known. `cargo xtask demo` runs it.
//
//     node examples/cloud/demo.mjs PATH-OF-LIMITR PATH-OF-THE-RUST-ENGINE
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const [limitr, rustEngine] = process.argv.slice(2);
const ENGINE = fileURLToPath(new URL('engine.mjs', import.meta.url));
const SECONDS = 6;

const folder = await mkdtemp(join(tmpdir(), 'limitr-demo-'));
const port = await freePort();
const server = `http://127.0.0.1:${port}`;

console.log('# A server, with nothing set up before\n');
const serving = spawn(limitr, ['serve', '--dev', '--listen', `127.0.0.1:${port}`, '--data-dir', folder, '--log-level', 'error'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const tokens = [];
const said = createInterface({ input: serving.stdout });
said.on('line', (line) => tokens.push(...(line.match(/limitr_[0-9A-Za-z]{30,}/g) ?? [])));
try {
  await until(async () => tokens.length >= 2 && (await fetch(`${server}/readyz`).catch(() => undefined))?.ok);
  const [admin, engine] = tokens;
  console.log(`limitr serve --dev    listens on ${server}: a SQLite file, a workspace, a policy, two tokens`);

  console.log('\n# Three engines share three customers\n');
  const environment = {
    ...process.env,
    LIMITR_TOKEN: engine,
    LIMITR_WS_ADDRESS: `ws://127.0.0.1:${port}`,
    LIMITR_TICKET_ADDRESS: server,
  };
  const running = [
    run('node 1', process.execPath, [ENGINE, String(SECONDS)], environment),
    run('node 2', process.execPath, [ENGINE, String(SECONDS)], environment),
    run('rust  ', rustEngine, [String(SECONDS)], environment),
  ];
  await pause(SECONDS * 500);

  console.log('\n# The policy is changed while they run: growth gets 900000 tokens a day\n');
  const active = await api(admin, 'GET', '/policies/versions/active');
  const document = JSON.parse(active.document);
  document.policy.plans.growth.entitlements['ai-chat-input'].limit.value = 900_000;
  const change = { format: 'json', document: JSON.stringify(document, null, 2), note: 'growth: more chat' };
  await api(admin, 'POST', '/policies/publish', change);
  await limitrCloud(admin, ['versions']);
  await limitrCloud(admin, ['diff', active.id, 'active']);

  const codes = await Promise.all(running);
  if (codes.some((code) => code !== 0)) throw new Error('an engine failed');

  console.log('\n# What they used adds up, whoever used it\n');
  await limitrCloud(admin, ['usage', '--by', 'customer,entitlement']);
  console.log('\n# What it earns\n');
  await limitrCloud(admin, ['margin', '--by', 'customer']);
} finally {
  serving.kill('SIGTERM');
  await once(serving, 'exit');
  await rm(folder, { recursive: true, force: true });
}

/** Runs a program and shows what it says under its name. */
async function run(name, program, parameters, env) {
  const child = spawn(program, parameters, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', (line) => console.log(`[${name}] ${line}`));
  const [code] = await once(child, 'close');
  return code;
}

async function limitrCloud(token, parameters) {
  console.log(`$ limitr cloud ${parameters.join(' ')}`);
  const child = spawn(limitr, ['cloud', '--server', server, '--token', token, ...parameters], { stdio: 'inherit' });
  const [code] = await once(child, 'close');
  // 1 is what `diff` ends with when there is a difference.
  if (code !== 0 && !(parameters[0] === 'diff' && code === 1)) throw new Error(`limitr cloud ${parameters[0]} failed`);
}

async function api(token, method, path, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${server}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function until(done) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await done()) return;
    await pause(50);
  }
  throw new Error('the server does not start');
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: free } = probe.address();
  probe.close();
  return free;
}
