/** One finding in a policy document. */
export interface Problem {
  /** Stable code, for example `unknown_field`. */
  code: string;
  /** Where in the document: `policy.plans.pro.entitlements.chat.limit.credit`. */
  path: string;
  /** What is wrong, with the document's own text in backticks. */
  message: string;
  /** What to do about it. */
  hint?: string;
  /** Line in the text, from 1, where the format has positions. */
  line?: number;
  /** Column in the text, from 1. */
  column?: number;
  /** Where in the value at `path`, when that is an expression. */
  within?: { line: number; column: number };
}

/** What an error carries beside its message. */
export interface ErrorDetails {
  code: string;
  path?: string | undefined;
  hint?: string | undefined;
  cause?: unknown;
}

/**
 * Wrong use of the engine. A denied call is not an error: it returns `false`.
 *
 * Whatever throws one has changed nothing.
 */
export class LimitrError extends Error {
  override readonly name: string = 'LimitrError';
  /** A stable code to match on, for example `unknown_plan`. */
  readonly code: string;
  /** The place it is about: a path in the document or the name of an argument. */
  readonly path: string | undefined;
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.path = details.path;
    this.hint = details.hint;
  }
}

/** A policy document that could not be read or does not validate. */
export class LimitrPolicyError extends LimitrError {
  override readonly name = 'LimitrPolicyError';
  /** Every problem in the document, in its order. */
  readonly problems: readonly Problem[];

  constructor(message: string, details: ErrorDetails, problems: readonly Problem[]) {
    super(message, details);
    this.problems = problems;
  }
}

/** A value that cannot be used: not a finite number, of the wrong type, text that is not well formed. */
export class LimitrValueError extends LimitrError {
  override readonly name = 'LimitrValueError';
}

/** The engine's errors arrive as JSON text; anything else is passed on as it is. */
export function fromEngine(thrown: unknown): unknown {
  if (typeof thrown !== 'string') return thrown;
  const { kind, code, message, path, hint, problems } = JSON.parse(thrown);
  if (kind === 'policy') return new LimitrPolicyError(message, { code, path, hint }, problems ?? []);
  return new LimitrError(message, { code, path, hint });
}
