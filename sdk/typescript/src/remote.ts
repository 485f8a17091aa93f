/** The server that an engine follows, as far as its calls have to do with it. */
export interface Remote {
  /** Whether calls that use something are denied: there is no connection, or no room to note what they do. */
  readonly denies: boolean;
  /** Whether those that give something back are denied too: there is no room. */
  readonly full: boolean;
  /** What an operation is answered with instead of being run, if it is not; `run` runs it. */
  instead(verb: string, named: Named, run: () => unknown): { answer: unknown } | undefined;
  /** A call was made for a customer. */
  called(customer: string, allowed: boolean): void;
  /** An operation was run. */
  ran(verb: string, named: Named, answer: unknown): void;
}

/** An operation's arguments. */
export type Named = Record<string, unknown>;
