import type { Socket } from 'node:net';

export type Ending = 'fin' | 'reset';

/** Collects what answers one message of the client, and sends it, or as much of it as is to arrive. */
export class Outlet {
  readonly #socket: Socket;
  #pending: Buffer[] = [];
  #sentBytes = 0;
  #cut: { readonly afterBytes: number; readonly ending: Ending } | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  write(...messages: readonly Buffer[]): void {
    this.#pending.push(...messages);
  }

  /** Of the answer under way no more than that many bytes arrive. */
  cutAfter(afterBytes: number, ending: Ending): void {
    this.#cut = { afterBytes, ending };
  }

  flush(): void {
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    const leftBytes = (this.#cut?.afterBytes ?? Infinity) - this.#sentBytes;
    this.#sentBytes += bytes.length;
    if (bytes.length < leftBytes) {
      if (bytes.length > 0) this.#socket.write(bytes);
      return;
    }
    const { ending = 'fin' } = this.#cut ?? {};
    const arriving = bytes.subarray(0, leftBytes);
    // A reset takes back what has not left yet, so it waits for that.
    if (ending === 'reset') this.#socket.write(arriving, () => this.#socket.resetAndDestroy());
    else this.#socket.end(arriving);
  }

  /** Sends the rest of the answer; the next one begins. */
  complete(): void {
    this.flush();
    this.#sentBytes = 0;
    this.#cut = undefined;
  }
}
