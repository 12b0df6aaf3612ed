import type { Socket } from 'node:net';
import { type Clock, sleep } from '@holdfast/foundation';
import { type InjectedHttpFaults, changesBody, headOf, sendChanged } from './changed-response.ts';
import {
  type HttpHead,
  requestFraming,
  requestLineOf,
  responseFraming,
  statusOf,
  valuesOf,
} from './http-head.ts';
import { HttpSource } from './http-source.ts';
import { replacementOf } from './replaced-response.ts';
import { sendAll } from './send-all.ts';

/** The collaborators of {@link HttpConnection}. */
interface HttpConnectionDeps {
  readonly clock: Clock;
  readonly maxBodyBytes: number;
  /** Draws the faults of the next request. */
  readonly draw: () => InjectedHttpFaults;
  /** Called before a response with these faults is sent. */
  readonly onFelt: (faults: InjectedHttpFaults) => void;
}

/** A request that the server gets, and whose response is to come. */
interface Exchange {
  readonly method: string;
  readonly faults: InjectedHttpFaults;
  /** Settles when everything before its response has been sent. */
  readonly turn: Promise<void>;
  /** Called when its response has been sent or cannot come, and with whether a tunnel follows it. */
  readonly settle: (isTunnel: boolean) => void;
}

const untouched: InjectedHttpFaults = new Map();

/**
 * One connection of a client, and one to the server for it. Each byte passes as it was sent: only where a request and a
 * response begin and end is read, to put a fault in a response's place. What is not HTTP/1 passes unread.
 */
export class HttpConnection {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #dialed: Promise<void>;
  readonly #deps: HttpConnectionDeps;
  readonly #over = new AbortController();
  /** The requests whose responses are to come, in order. */
  readonly #expected: Exchange[] = [];
  /** Settles when every response so far has been sent. */
  #turn = Promise.resolve();
  /** Requests that were read and not answered. */
  #pending = 0;

  /** @param dialed settles when the server has accepted, or could not be reached. */
  constructor(client: Socket, server: Socket, dialed: Promise<void>, deps: HttpConnectionDeps) {
    this.#client = client;
    this.#server = server;
    this.#dialed = dialed;
    this.#deps = deps;
    dialed.catch(() => {});
    // Their failures are seen where they are read and written.
    for (const end of [client, server]) end.on('error', () => {});
    client.on('close', () => this.#over.abort());
  }

  /** Resolves when both ends are done. Rejects when one has failed; then both are to be dropped. */
  async run(): Promise<void> {
    await Promise.all([this.#passRequests(), this.#passResponses()]);
  }

  /** Whether a request was not answered. */
  get isBroken(): boolean {
    return this.#pending > 0;
  }

  async #passRequests(): Promise<void> {
    const source = new HttpSource(this.#client);
    for (;;) {
      const head = await source.head('request');
      if (head === undefined || (await this.#passRequest(head, source))) break;
    }
    for await (const bytes of source.rest()) await this.#toServer(bytes);
    await this.#dialed.then(
      () => this.#server.end(),
      () => this.#client.end(),
    );
  }

  /** Returns whether what follows is no request. */
  async #passRequest(head: HttpHead, source: HttpSource): Promise<boolean> {
    const { clock, draw } = this.#deps;
    const faults = draw();
    this.#pending += 1;
    const delay = faults.get('delay');
    if (delay !== undefined) await sleep(clock, delay.delayMs, this.#over.signal);
    const framing = requestFraming(head);
    const replacement = replacementOf(head, faults, clock);
    if (replacement !== undefined) {
      await this.#turn;
      this.#deps.onFelt(faults);
      await replacement.send(this.#client);
      this.#pending -= 1;
      // A client that closes has nothing more to send; one that waits to be told to send its body sends none.
      if (replacement.isLast) this.#client.end();
      await discard(replacement.isLast ? source.rest() : source.body(framing));
      return replacement.isLast;
    }
    const { method } = requestLineOf(head);
    const isTunnel = this.#expect(method, faults);
    await this.#toServer(head.bytes);
    for await (const { bytes } of source.body(framing)) await this.#toServer(bytes);
    if (framing.kind === 'untilClose') return true;
    return method === 'CONNECT' || valuesOf(head, 'upgrade').length > 0 ? isTunnel : false;
  }

  /** Resolves when the response was sent, and with whether a tunnel follows it. */
  #expect(method: string, faults: InjectedHttpFaults): Promise<boolean> {
    const { promise, resolve: settle } = Promise.withResolvers<boolean>();
    this.#expected.push({ method, faults, turn: this.#turn, settle });
    this.#turn = promise.then(() => {});
    return promise;
  }

  async #passResponses(): Promise<void> {
    // A request that needs the server fails; others are answered without it.
    const isDialed = await this.#dialed.then(
      () => true,
      () => false,
    );
    if (!isDialed) return;
    const source = new HttpSource(this.#server);
    for (;;) {
      const head = await source.head('response');
      if (head === undefined || (await this.#passResponse(head, source))) break;
    }
    await this.#expected[0]?.turn;
    for await (const bytes of source.rest()) await sendAll(this.#client, bytes);
    this.#client.end();
    for (const { settle } of this.#expected) settle(true);
  }

  /** Returns whether what follows is no response. */
  async #passResponse(head: HttpHead, source: HttpSource): Promise<boolean> {
    const status = statusOf(head);
    const [exchange] = this.#expected;
    await exchange?.turn;
    const method = exchange?.method ?? 'GET';
    const isTunnel = status === 101 || (method === 'CONNECT' && status >= 200 && status < 300);
    if (isTunnel) {
      source.unread(head);
      this.#finish(true);
      return true;
    }
    if (status < 200) {
      await sendAll(this.#client, head.bytes);
      return false;
    }
    const framing = responseFraming(head, method);
    const faults = exchange?.faults ?? untouched;
    this.#deps.onFelt(faults);
    if (changesBody(faults) && framing.kind !== 'none') {
      const { clock, maxBodyBytes } = this.#deps;
      const { signal } = this.#over;
      const parts = source.body(framing);
      await sendChanged(this.#client, head, parts, { faults, clock, maxBodyBytes, signal });
    } else {
      await sendAll(this.#client, headOf(head, faults));
      for await (const { bytes } of source.body(framing)) await sendAll(this.#client, bytes);
    }
    this.#finish(false);
    return false;
  }

  /** The response of the first request has been sent. */
  #finish(isTunnel: boolean): void {
    const exchange = this.#expected.shift();
    if (exchange === undefined) return;
    this.#pending -= 1;
    exchange.settle(isTunnel);
  }

  async #toServer(bytes: Buffer): Promise<void> {
    await this.#dialed;
    // A server that has closed early reads no more, which is not the client's failure.
    if (this.#server.writable) await sendAll(this.#server, bytes);
  }
}

async function discard(bytes: AsyncIterable<unknown>): Promise<void> {
  const chunks = bytes[Symbol.asyncIterator]();
  while ((await chunks.next()).done !== true);
}
