import type { FetchedPage } from './catalog-client.ts';

/** The body of a response, or a page that an interrupted fetch had; `undefined`: there is no such page. */
export type Arrived = Uint8Array | FetchedPage | undefined;

/** A page that was asked for. */
interface Requested {
  readonly page: number;
  readonly arrived: Promise<Arrived>;
}

/** Pages that are fetched ahead, several at a time, and taken in order. */
export class PageQueue {
  readonly #get: (page: number) => Promise<Arrived>;
  readonly #requested: Requested[] = [];
  #next: number;

  constructor(from: number, get: (page: number) => Promise<Arrived>) {
    this.#next = from;
    this.#get = get;
  }

  /** Asks for pages up to `last`, of which at most `ahead` wait to be taken. */
  fill(ahead: number, last: number): void {
    while (this.#requested.length < ahead && this.#next <= last) {
      const page = this.#next;
      this.#next += 1;
      const arrived = this.#get(page);
      // Whoever takes it hears of it; the others were canceled.
      arrived.catch(() => {});
      this.#requested.push({ page, arrived });
    }
  }

  take(): Requested | undefined {
    return this.#requested.shift();
  }
}
