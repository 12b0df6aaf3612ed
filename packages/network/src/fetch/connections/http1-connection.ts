import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { Client, Dispatcher } from 'undici';
import { readBody } from '../body/request-body.ts';
import type { Written } from '../errors.ts';
import {
  type OriginConnection,
  type ConnectionOwner,
  type ConnectionSettings,
  type HttpExchange,
  type ExchangeHandler,
  type ResponseHead,
  type WireRequest,
  appendHeader,
} from './connection.ts';

export type UndiciClient = new (origin: string, options: Client.Options) => Client;

type SentBody = NonNullable<Dispatcher.DispatchOptions['body']> | null;

interface Http1Deps {
  readonly Client: UndiciClient;
  readonly origin: string;
  readonly socket: Socket;
  readonly address: string | undefined;
  readonly owner: ConnectionOwner;
  readonly settings: ConnectionSettings;
}

/** HTTP/1.1 on one connection: a client of undici that is given its socket, and never connects again. */
export class Http1Connection implements OriginConnection {
  readonly address: string | undefined;
  readonly #client: Client;
  readonly socket: Socket;
  readonly #owner: ConnectionOwner;
  #exchanges = 0;
  #current: Http1Exchange | undefined;
  #isDraining = false;
  #isClosed = false;

  constructor({ Client, origin, socket, address, owner, settings }: Http1Deps) {
    this.address = address;
    this.socket = socket;
    this.#owner = owner;
    let isGiven = false;
    this.#client = new Client(origin, {
      pipelining: 1,
      keepAliveTimeout: settings.keepAliveMs,
      // The deadline of the call is the only one.
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
      connect: (_options, callback) => {
        const isUsable = !isGiven && !socket.destroyed;
        isGiven = true;
        // Not at once: undici does not go on with a connection that it gets while it asks for it.
        queueMicrotask(() => {
          if (isUsable) callback(null, socket);
          else callback(new Error('the connection is closed'), null);
        });
      },
    });
    this.#client.on('disconnect', () => this.#close());
    // The first request connects the client; until then it does not hear that the server closes.
    socket.once('close', () => this.#close());
  }

  get isAvailable(): boolean {
    return (
      !this.#isClosed && !this.#isDraining && this.#current === undefined && !this.socket.destroyed
    );
  }

  get inFlight(): number {
    return this.#current === undefined ? 0 : 1;
  }

  send(request: WireRequest, handler: ExchangeHandler): HttpExchange {
    const isReused = this.#exchanges > 0;
    this.#exchanges += 1;
    const exchange = new Http1Exchange(this.socket, request, handler, isReused, {
      ended: () => {
        this.#current = undefined;
        if (this.#isDraining) this.destroy(new Error('drained'));
        else if (!this.#isClosed) this.#owner.idle(this);
      },
      abort: (reason) => this.destroy(reason),
    });
    this.#current = exchange;
    exchange.start(this.#client);
    return exchange;
  }

  drain(): void {
    this.#isDraining = true;
    if (this.#current === undefined) this.destroy(new Error('drained'));
  }

  destroy(reason: Error): void {
    // Rejects never; the requests that wait are failed with the reason.
    void this.#client.destroy(reason);
    this.socket.destroy();
    this.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#owner.closed(this);
  }
}

interface Http1ExchangeOwner {
  ended(): void;
  abort(reason: Error): void;
}

class Http1Exchange implements HttpExchange, Dispatcher.DispatchHandler {
  readonly #socket: Socket;
  readonly #request: WireRequest;
  readonly #handler: ExchangeHandler;
  readonly #isReused: boolean;
  readonly #owner: Http1ExchangeOwner;
  readonly #bytesBefore: number;
  #controller: Dispatcher.DispatchController | undefined;
  #hasStarted = false;
  #isBodySent: boolean;
  #hasHead = false;
  #isDone = false;

  constructor(
    socket: Socket,
    request: WireRequest,
    handler: ExchangeHandler,
    isReused: boolean,
    owner: Http1ExchangeOwner,
  ) {
    this.#socket = socket;
    this.#request = request;
    this.#handler = handler;
    this.#isReused = isReused;
    this.#owner = owner;
    this.#bytesBefore = socket.bytesWritten;
    this.#isBodySent = request.body.kind === 'none' || request.body.kind === 'bytes';
  }

  start(client: Client): void {
    const { url, method, headers, body } = this.#request;
    client.dispatch(
      {
        path: `${url.pathname}${url.search}`,
        method,
        headers: [...headers],
        body: this.#openBody(body),
      },
      this,
    );
  }

  #openBody(body: WireRequest['body']): SentBody {
    if (body.kind === 'none') return null;
    if (body.kind === 'bytes') return body.bytes;
    return Readable.from(this.#watchBody(readBody(body)), { objectMode: false });
  }

  async *#watchBody(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) yield chunk;
    this.#isBodySent = true;
  }

  resume(): void {
    this.#controller?.resume();
  }

  cancel(reason: unknown): Written {
    const written = this.#written();
    if (!this.#isDone) {
      this.#isDone = true;
      this.#owner.abort(reason instanceof Error ? reason : new Error('aborted', { cause: reason }));
      this.#owner.ended();
    }
    return written;
  }

  #written(): Written {
    if (!this.#hasStarted || this.#socket.bytesWritten === this.#bytesBefore) return 'none';
    return this.#isBodySent ? 'all' : 'partial';
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#hasStarted = true;
    this.#controller = controller;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusText = '',
  ): void {
    if (status < 200 || this.#isDone) return;
    this.#hasHead = true;
    this.#handler.head(this.#headOf(status, headers, statusText));
  }

  #headOf(
    status: number,
    given: Record<string, string | string[] | undefined>,
    statusText: string,
  ): ResponseHead {
    const headers = new Headers();
    for (const name in given) {
      const value = given[name];
      if (typeof value === 'string') appendHeader(headers, name, value);
      else for (const one of value ?? []) appendHeader(headers, name, one);
    }
    const isEmpty = this.#request.method === 'HEAD' || status === 204 || status === 304;
    const isChunked = /(?:^|,)\s*chunked\s*$/i.test(headers.get('transfer-encoding') ?? '');
    const hasLength = !headers.has('transfer-encoding') && headers.has('content-length');
    const isEndFramed = isEmpty || isChunked || hasLength;
    return { status, statusText, headers, isEndFramed, isDecoded: false };
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isDone && !this.#handler.data(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#owner.ended();
    this.#handler.end();
  }

  onResponseError(_controller: unknown, cause: Error): void {
    if (this.#isDone) return;
    this.#isDone = true;
    const written = this.#written();
    this.#owner.abort(cause);
    this.#owner.ended();
    this.#handler.fail({
      cause,
      written,
      isUntouched: false,
      isCounted: false,
      isReuseRace: this.#isReused && !this.#hasHead,
    });
  }
}
