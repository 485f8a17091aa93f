import { LimitrError } from '../errors.js';
import { isRecord } from '../values.js';

/** An attempt to connect that failed. */
export class Failed {
  /** @param lasting - Whether it will fail again. */
  constructor(
    readonly error: LimitrError,
    readonly lasting = false,
  ) {}
}

/** What may pass: too slow, too early, too many. */
const PASSING = new Set([408, 425, 429]);

/**
 * Changes the token into a ticket for one connection, so that the token is in no address.
 *
 * @throws {@link Failed}
 */
export async function ticket(url: string, token: string, signal: AbortSignal): Promise<string> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
      // Nobody is to be sent the token but the server.
      redirect: 'manual',
      signal,
    });
  } catch (cause) {
    throw new Failed(unreachable(url, reason(cause)));
  }
  const answer: unknown = await response.json().catch(() => undefined);
  const said = isRecord(answer) ? answer : {};
  if (response.ok && typeof said['ticket'] === 'string') return said['ticket'];
  const { status } = response;
  throw new Failed(refused(url, status, said), status >= 400 && status < 500 && !PASSING.has(status));
}

/** The server, or something in front of it, gave no ticket. */
function refused(url: string, status: number, { code, detail, path, hint }: Record<string, unknown>): LimitrError {
  if (typeof code !== 'string' || typeof detail !== 'string') {
    return unreachable(url, `it answered ${status} to the request for a ticket`);
  }
  return new LimitrError(detail, {
    code,
    path: typeof path === 'string' ? path : undefined,
    hint: typeof hint === 'string' ? hint : status === 401 ? 'make a token of scope `engine`' : undefined,
  });
}

/** No connection to where an address leads; of that no more is told than the host. */
export function unreachable(url: string, why: string): LimitrError {
  const { protocol, host } = new URL(url);
  return new LimitrError(`cannot connect to ${protocol}//${host}: ${why}`, {
    code: 'cannot_connect',
    hint: 'does the server run there? `wsAddress` and `ticketAddress` say where it is',
  });
}

/** What went wrong, down to the cause: `fetch failed` alone helps nobody. */
function reason(thrown: unknown): string {
  let inner = thrown;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (!(inner instanceof Error)) return String(inner);
  // Where every address of a host was tried, the message of all that is empty.
  return inner.message || String((inner as { code?: unknown }).code ?? inner.name);
}
