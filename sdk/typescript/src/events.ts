/** Hears every event: its name, and its payload as JSON text. */
export type Handler = (key: string, value: string) => unknown;

/** Told of what a handler threw, or what its promise was rejected with. */
export type HandlerErrorReporter = (error: unknown, event: string, handler: string) => void;

/** The handlers of one engine, in the order they were added. */
export class Handlers {
  onError: HandlerErrorReporter = (error, event, handler) => {
    console.error(`limitr: handler \`${handler}\` failed on \`${event}\`:`, error);
  };
  readonly #handlers = new Map<string | symbol, Handler>();

  get size(): number {
    return this.#handlers.size;
  }

  add(name: string | symbol, handler: Handler): void {
    this.#handlers.set(name, handler);
  }

  on<P>(event: string, handler: (payload: P) => unknown): symbol {
    const key = Symbol(`on ${event}`);
    this.#handlers.set(key, (name, value) => (name === event ? handler(JSON.parse(value)) : undefined));
    return key;
  }

  remove(name: string | symbol): boolean {
    return this.#handlers.delete(name);
  }

  clear(): void {
    this.#handlers.clear();
  }

  /** Tells the events that an engine has kept. */
  take(engine: { has_events(): boolean; take_events(): string }): void {
    if (this.size > 0 && engine.has_events()) this.tell(engine.take_events());
  }

  /**
   * Tells events, each a line with its name and a line with its payload, to every handler.
   *
   * Nothing a handler does gets out of here: the call it hears of is complete.
   */
  tell(lines: string): void {
    const parts = lines.split('\n');
    for (let at = 0; at + 1 < parts.length; at += 2) {
      const [event, payload] = [parts[at] as string, parts[at + 1] as string];
      for (const [name, handler] of [...this.#handlers]) {
        guarded(
          () => handler(event, payload),
          (error) => this.#report(error, event, name),
        );
      }
    }
  }

  #report(error: unknown, event: string, handler: string | symbol): void {
    const name = typeof handler === 'symbol' ? (handler.description ?? '') : handler;
    guarded(
      () => this.onError(error, event, name),
      (again) => console.error('limitr: onHandlerError failed:', again),
    );
  }
}

/** Calls an application's function; tells of what it throws, or what its promise is rejected with. */
export function guarded(call: () => unknown, failed: (error: unknown) => void): void {
  try {
    const result = call();
    // Also promises that are not the runtime's own.
    if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') Promise.resolve(result).catch(failed);
  } catch (error) {
    failed(error);
  }
}
