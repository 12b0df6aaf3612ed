import type { Socket } from 'node:net';

/** How a connection is closed: by FIN, or by RST. */
export type Ending = 'fin' | 'reset';

/** Collects the response to one client message and sends it, or the part of it that is to arrive. */
export class ResponseWriter {
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

  /** Sends no more than that many bytes of the current response. */
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
    // A reset discards unsent data, so it waits until the data is sent.
    if (ending === 'reset') this.#socket.write(arriving, () => this.#socket.resetAndDestroy());
    else this.#socket.end(arriving);
  }

  /** Sends the rest of the response and begins the next one. */
  complete(): void {
    this.flush();
    this.#sentBytes = 0;
    this.#cut = undefined;
  }
}
