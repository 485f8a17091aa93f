/** The databases that tests need: those of this machine, started where they do not run. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const HOST = '127.0.0.1';
const REDIS_PORT = 6379;
const POSTGRES_PORT = 5432;

export interface RedisServer {
  host: string;
  port: number;
  /** A database that nothing else here uses. */
  db: number;
}

/** A Redis server. */
export async function redisServer(): Promise<RedisServer> {
  if (await answers(REDIS_PORT)) return { host: HOST, port: REDIS_PORT, db: 9 };
  const port = await freePort();
  const server = spawn('redis-server', ['--port', `${port}`, '--save', '', '--daemonize', 'no'], { stdio: 'ignore' });
  let failed: Error | undefined;
  server.on('error', (error) => (failed = error));
  after(() => server.kill());
  if (!(await answersSoon(port, () => failed)))
    throw new Error('no Redis server, and none can be started', { cause: failed });
  return { host: HOST, port, db: 9 };
}

export interface PostgresServer {
  host: string;
  port: number;
  user: string;
  database: string;
}

/** A PostgreSQL server. */
export async function postgresServer(): Promise<PostgresServer> {
  const server = { host: HOST, port: POSTGRES_PORT, user: 'postgres', database: 'test' };
  if (await answers(POSTGRES_PORT)) return server;
  const version = readdirSync('/etc/postgresql').sort().at(-1) ?? '';
  const started = spawnSync('pg_ctlcluster', ['--skip-systemctl-redirect', version, 'main', 'start'], {
    encoding: 'utf8',
  });
  if (await answersSoon(POSTGRES_PORT)) return server;
  throw new Error(`no PostgreSQL server, and none can be started: ${started.error ?? started.stderr}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => done(false));
    socket.on('connect', () => done(true)).on('error', () => done(false));
  });
}

async function answersSoon(port: number, failed: () => unknown = () => undefined): Promise<boolean> {
  for (let tries = 0; tries < 100 && failed() === undefined; tries++) {
    if (await answers(port)) return true;
    await sleep(100);
  }
  return false;
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
