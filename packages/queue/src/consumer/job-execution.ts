/** One handler at work on one job. Its signal is made when somebody asks for it, which most never do. */
export class JobExecution {
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    return this.#made.signal;
  }

  get isAborted(): boolean {
    return this.#controller?.signal.aborted ?? false;
  }

  abort(reason: Error): void {
    this.#made.abort(reason);
  }

  get #made(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }
}
