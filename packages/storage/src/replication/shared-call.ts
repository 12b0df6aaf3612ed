/** Makes at most one call at a time: all who ask while one is under way share the next. */
export class SharedCall<T> {
  readonly #call: (signal: AbortSignal) => Promise<T>;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | undefined;

  /** @param call never rejects. */
  constructor(call: (signal: AbortSignal) => Promise<T>) {
    this.#call = call;
  }

  /** The result of a call that begins after this. */
  run(signal: AbortSignal): Promise<T> {
    this.#next ??= this.#running.then(() => {
      const call = this.#call(signal);
      this.#running = call;
      this.#next = undefined;
      return call;
    });
    return this.#next;
  }
}
