import { LimitrError } from '../errors.js';

/** A first connection that is waited for. */
export class Start {
  #end: ((failed?: LimitrError) => void) | undefined;
  #last: LimitrError | undefined;

  /**
   * Waits until it is there, or why it is not.
   *
   * @param patience - How long the server may take, ms.
   */
  async wait(patience: number): Promise<LimitrError | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const failed = await new Promise<LimitrError | undefined>((resolve) => {
      this.#end = resolve;
      timer = setTimeout(() => resolve(this.#last ?? tooLate(patience)), patience);
    });
    clearTimeout(timer);
    return failed;
  }

  /** There is a policy to decide by. */
  succeeded(): void {
    this.#end?.();
  }

  /** An attempt has failed; `lasting` when the next one would too. */
  failed(error: LimitrError, lasting: boolean): void {
    this.#last = error;
    if (lasting) this.#end?.(error);
  }
}

function tooLate(patience: number): LimitrError {
  const hint = '`connectTimeout` says how long it may take';
  return new LimitrError(`the server did not answer within ${patience} ms`, { code: 'connect_timeout', hint });
}
