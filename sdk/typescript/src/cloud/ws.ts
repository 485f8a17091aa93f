/** WebSockets in Node: its own come only with version 22, and none of them lets the program end. */
import { WebSocket } from 'ws';

import { later } from '../timers.js';
import type { Opener } from './socket.js';

/** More than any frame. */
const MAX_BYTES = 4 << 20;
/** How long the server may take to say goodbye, ms. */
const GOODBYE = 1000;

export const open: Opener = (url, events) => {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: MAX_BYTES });
  let raw: { ref(): unknown; unref(): unknown } | undefined;
  let open = true;
  let why = '';
  socket.on('upgrade', (response) => (raw = response.socket));
  socket.on('open', () => open && events.opened());
  socket.on('message', (data, binary) => {
    if (open && !binary) events.received(data.toString());
  });
  // The event `close` follows.
  socket.on('error', (error) => (why = error.message));
  socket.on('close', (code, reason) => {
    if (open) events.closed(why || reason.toString() || `the connection was closed (${code})`);
    open = false;
  });
  return {
    send: (text) => socket.send(text),
    close: () => {
      open = false;
      socket.close();
      later(GOODBYE, () => socket.terminate());
    },
    hold: (on) => void (on ? raw?.ref() : raw?.unref()),
  };
};
