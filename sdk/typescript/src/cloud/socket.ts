/** A WebSocket, as far as a connection needs one. */
export interface Socket {
  send(text: string): void;
  close(): void;
  /** Whether the program is kept alive by it, where the runtime lets one say so. */
  hold?(on: boolean): void;
}

/** Told of what happens to a socket. After `closed` nothing is told. */
export interface SocketEvents {
  opened(): void;
  received(text: string): void;
  closed(why: string): void;
}

/** Opens sockets. */
export type Opener = (url: string, events: SocketEvents) => Socket;

let other: (() => Promise<Opener>) | undefined;

/** Set by the entry of a runtime that has something better than the global `WebSocket`. */
export function setOpener(opener: () => Promise<Opener>): void {
  other ??= opener;
}

/** How sockets are opened here. */
export async function opener(): Promise<Opener> {
  return other === undefined ? openGlobal : other();
}

const openGlobal: Opener = (url, events) => {
  if (typeof WebSocket === 'undefined') throw new Error('this runtime has no WebSocket');
  const socket = new WebSocket(url);
  let open = true;
  socket.onopen = () => open && events.opened();
  socket.onmessage = ({ data }) => {
    if (open && typeof data === 'string') events.received(data);
  };
  socket.onclose = ({ code, reason }) => {
    if (open) events.closed(reason === '' ? `the connection was closed (${code})` : reason);
    open = false;
  };
  return {
    send: (text) => socket.send(text),
    close: () => {
      open = false;
      socket.close();
    },
  };
};
