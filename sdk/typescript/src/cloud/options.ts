import { LimitrError, LimitrValueError } from '../errors.js';
import type { Store, Stored } from '../persist.js';
import { finite, flag, record, text } from '../values.js';

/** How {@link Limitr.cloud} connects. */
export interface CloudOptions {
  /** A token of scope `engine`. Without one, as where an environment variable is missing, nothing is connected. */
  token: string | undefined;
  /** A published version of the policy to stay on, `pol_...`. Default `active`: always the latest. */
  policy?: string;
  /**
   * How long the server may take, ms: for the first connection, for a customer that it is asked for, and for storing what is
   * left on {@link Limitr.close}. Default 5000.
   */
  connectTimeout?: number;
  /**
   * Whether calls that use something are denied while there is no connection; default true. With false they are decided by
   * what is known here, and sent later.
   */
  denyUnconnected?: boolean;
  /** Whether a policy with problems is refused. The server publishes none, so this is for engines without one; default true. */
  validate?: boolean;
  /**
   * Where the server takes connections, such as `wss://limits.example.com`. Default: the environment variable
   * `LIMITR_WS_ADDRESS`, else the host of the ticket address where that is given, else Limitr Cloud.
   */
  wsAddress?: string;
  /**
   * Where the server changes tokens into tickets, such as `https://limits.example.com`. Default: the environment variable
   * `LIMITR_TICKET_ADDRESS`, else the host of the address for connections where that is given, else Limitr Cloud.
   */
  ticketAddress?: string;
  /**
   * Keeps what the server has not stored yet over a restart: what is found in it is sent first. Each token needs a store of
   * its own, beside those for customers.
   */
  store?: Store<Stored>;
  /** Told why `cloud` answers `undefined`, and of whatever goes wrong later: what the event `cloud-error` tells. */
  onError?: (error: LimitrError) => void;
}

/** The options, checked and complete. */
export interface Settings {
  token: string;
  policy: string;
  /** ms. */
  patience: number;
  denyUnconnected: boolean;
  validate: boolean;
  ticketUrl: string;
  wsUrl: string;
  store: Store<Stored> | undefined;
  onError: ((error: LimitrError) => void) | undefined;
}

const WS_ADDRESS = 'wss://api.limitr.dev';
const TICKET_ADDRESS = 'https://api.limitr.dev';

/** Checks what {@link Limitr.cloud} is given. */
export function settings(options: CloudOptions): Settings {
  const given = record(options, 'options') as Partial<Record<keyof CloudOptions, unknown>>;
  const { token = '', policy = 'active', connectTimeout = 5000, denyUnconnected = true, validate = true, onError } = given;
  const patience = finite(connectTimeout, 'connectTimeout');
  if (patience < 0) throw invalid('connectTimeout', '`connectTimeout` must not be negative');
  if (onError !== undefined && typeof onError !== 'function') throw invalid('onError', '`onError` must be a function');
  const version = text(policy, 'policy');
  return {
    token: text(token, 'token'),
    policy: version === 'active' ? '' : version,
    patience,
    denyUnconnected: flag(denyUnconnected, 'denyUnconnected'),
    validate: flag(validate, 'validate'),
    ...addresses(given),
    store: given.store as Store<Stored> | undefined,
    onError: onError as Settings['onError'],
  };
}

function addresses(given: { wsAddress?: unknown; ticketAddress?: unknown }): Pick<Settings, 'ticketUrl' | 'wsUrl'> {
  const ws = given.wsAddress ?? environment('LIMITR_WS_ADDRESS');
  const ticket = given.ticketAddress ?? environment('LIMITR_TICKET_ADDRESS');
  // Where one is given the other follows: a token of one's own server has no business elsewhere.
  const wsAddress = ws ?? (typeof ticket === 'string' ? ticket.replace('http', 'ws') : WS_ADDRESS);
  const ticketAddress = ticket ?? (typeof ws === 'string' ? ws.replace('ws', 'http') : TICKET_ADDRESS);
  return {
    ticketUrl: address('ticketAddress', ticketAddress, 'https', 'http', 'wss/ticket'),
    wsUrl: address('wsAddress', wsAddress, 'wss', 'ws', 'wss'),
  };
}

function address(option: string, given: unknown, secure: string, plain: string, path: string): string {
  const host = text(given, option).replace(/\/+$/, '');
  // A host that is missing would be taken from the path.
  const url = /^\w+:\/\/[^/]/.test(host) ? parsed(`${host}/${path}`) : undefined;
  const scheme = url?.protocol.slice(0, -1);
  const bare = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url !== undefined && bare && (scheme === secure || scheme === plain)) return url.href;
  // Without the text: who puts a password into an address would find it in a log.
  throw new LimitrValueError(`\`${option}\` is no address that begins with \`${secure}://\` or \`${plain}://\``, {
    code: 'invalid_address',
    path: option,
    hint: `for example \`${secure}://limits.example.com\`, or \`${plain}://127.0.0.1:7070\``,
  });
}

function parsed(url: string): URL | undefined {
  try {
    return new URL(url);
  } catch {
    return undefined;
  }
}

/** A variable of the environment, where there is one and it may be read. */
function environment(name: string): string | undefined {
  try {
    const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
    return process?.env?.[name] || undefined;
  } catch {
    return undefined;
  }
}

function invalid(path: string, message: string): LimitrValueError {
  return new LimitrValueError(message, { code: 'invalid_argument', path });
}
