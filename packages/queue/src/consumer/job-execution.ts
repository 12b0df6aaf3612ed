/** One run of a handler. Creates the signal on first use, because most handlers never use it. */
export class JobExecution {
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    return this.#created.signal;
  }

  get isAborted(): boolean {
    return this.#controller?.signal.aborted ?? false;
  }

  abort(reason: Error): void {
    this.#created.abort(reason);
  }

  get #created(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }
}
