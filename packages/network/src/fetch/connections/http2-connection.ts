import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  connect,
  constants,
} from 'node:http2';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Timer } from '@holdfast/foundation';
import { readBody } from '../body/request-body.ts';
import type { Written } from '../errors.ts';
import {
  type OriginConnection,
  type ConnectionOwner,
  type ConnectionSettings,
  type HttpExchange,
  type ExchangeHandler,
  type WireRequest,
  appendHeader,
} from './connection.ts';

interface Http2Deps {
  readonly origin: string;
  readonly socket: Socket;
  readonly address: string | undefined;
  readonly owner: ConnectionOwner;
  readonly settings: ConnectionSettings;
}

const MAX_STREAMS = 100;

/**
 * HTTP/2 on one connection. A session from which no byte comes while answers are due is asked by PING, and closed if
 * it stays silent; so it is when a deadline passes in silence, without the question.
 */
export class Http2Connection implements OriginConnection {
  readonly address: string | undefined;
  readonly #session: ClientHttp2Session;
  readonly socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #settings: ConnectionSettings;
  readonly #exchanges = new Set<Http2Exchange>();
  #lastStreamId: number | undefined;
  #isDraining = false;
  #isClosed = false;
  #hasFailed = false;
  #watch: Timer | undefined;
  #idleTimer: Timer | undefined;

  constructor({ origin, socket, address, owner, settings }: Http2Deps) {
    this.address = address;
    this.socket = socket;
    this.#owner = owner;
    this.#settings = settings;
    this.#session = connect(origin, {
      createConnection: () => socket,
      settings: { enablePush: false },
    });
    this.#session.on('goaway', (_code: number, lastStreamId: number) => {
      this.#lastStreamId = lastStreamId;
      this.#stopTaking('goaway');
    });
    // Its streams fail with the same error.
    this.#session.on('error', () => {});
    this.#session.on('close', () => this.#close());
  }

  get isAvailable(): boolean {
    const limit = this.#session.remoteSettings?.maxConcurrentStreams ?? MAX_STREAMS;
    return (
      !this.#isClosed &&
      !this.#isDraining &&
      !this.#session.closed &&
      !this.#session.destroyed &&
      this.#exchanges.size < Math.min(MAX_STREAMS, limit)
    );
  }

  get inFlight(): number {
    return this.#exchanges.size;
  }

  /** How many bytes have come; a frame is silence broken. */
  get bytesRead(): number {
    return this.socket.bytesRead;
  }

  /** Whether the server has said that it does not begin with this stream. */
  isRefused(stream: ClientHttp2Stream): boolean {
    if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) return true;
    const { id } = stream;
    return this.#lastStreamId !== undefined && id !== undefined && id > this.#lastStreamId;
  }

  /** Whether the failure of the whole connection has been counted already; that of one stream never is. */
  countFailure(): boolean {
    if (!this.#isClosed && !this.#session.destroyed && !this.#session.closed) return false;
    const isCounted = this.#hasFailed;
    this.#hasFailed = true;
    return isCounted;
  }

  send(request: WireRequest, handler: ExchangeHandler): HttpExchange {
    this.#idleTimer?.cancel();
    this.#session.ref();
    const exchange = new Http2Exchange(this, request, handler);
    this.#exchanges.add(exchange);
    exchange.start(this.#session);
    this.#watch ??= this.#watchSilence(this.bytesRead);
    return exchange;
  }

  ended(exchange: Http2Exchange): void {
    if (!this.#exchanges.delete(exchange) || this.#exchanges.size > 0) return;
    this.#watch?.cancel();
    this.#watch = undefined;
    if (this.#isDraining) this.destroy(new Error('drained'));
    else if (!this.#isClosed) {
      this.#session.unref();
      const expire = (): void => this.destroy(new Error('idle'));
      const { clock, keepAliveMs } = this.#settings;
      this.#idleTimer = clock.schedule(keepAliveMs, expire, { holdsProcess: false });
      this.#owner.idle(this);
    }
  }

  #watchSilence(bytesBefore: number, isAsked = false): Timer {
    const { clock, pingAfterMs } = this.#settings;
    const look = (): void => {
      const isSilent = this.bytesRead === bytesBefore;
      if (isSilent && isAsked) {
        this.endSilent();
        return;
      }
      if (isSilent && !this.#session.destroyed) this.#session.ping(() => {});
      this.#watch = this.#watchSilence(this.bytesRead, isSilent);
    };
    return clock.schedule(pingAfterMs, look, { holdsProcess: false });
  }

  /** Nothing comes from the server; what waits here fails, and goes elsewhere if it may. */
  endSilent(): void {
    this.#stopTaking('silent');
    this.destroy(new Error('the HTTP/2 session is silent'));
  }

  #stopTaking(reason: 'silent' | 'goaway'): void {
    if (this.#isDraining || this.#isClosed) return;
    this.#isDraining = true;
    this.#owner.draining(this, reason);
    if (this.#exchanges.size === 0) this.destroy(new Error(reason));
  }

  drain(): void {
    this.#isDraining = true;
    if (this.#exchanges.size === 0) this.destroy(new Error('drained'));
  }

  destroy(reason: Error): void {
    const failed = [...this.#exchanges];
    this.#session.destroy();
    for (const exchange of failed) exchange.failWith(reason);
    this.socket.destroy();
    this.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch?.cancel();
    this.#idleTimer?.cancel();
    this.#owner.closed(this);
  }
}

class Http2Exchange implements HttpExchange {
  readonly #connection: Http2Connection;
  readonly #request: WireRequest;
  readonly #handler: ExchangeHandler;
  readonly #bytesReadBefore: number;
  #stream: ClientHttp2Stream | undefined;
  #hasEnded = false;
  #missingBytes: number | undefined;
  #isDone = false;

  constructor(connection: Http2Connection, request: WireRequest, handler: ExchangeHandler) {
    this.#connection = connection;
    this.#request = request;
    this.#handler = handler;
    this.#bytesReadBefore = connection.bytesRead;
  }

  start(session: ClientHttp2Session): void {
    const { body } = this.#request;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(this.#pseudoHeaders(), { endStream: body.kind === 'none' });
    } catch (error) {
      // The session was closed meanwhile, or takes no header of this kind.
      queueMicrotask(() => this.failWith(error));
      return;
    }
    this.#stream = stream;
    stream.on('response', (headers) => this.#onHead(headers));
    stream.on('data', (chunk: Buffer) => {
      if (this.#missingBytes !== undefined) this.#missingBytes -= chunk.byteLength;
      if (!this.#isDone && !this.#handler.data(chunk)) stream.pause();
    });
    stream.on('end', () => {
      this.#hasEnded = true;
    });
    let failure: unknown;
    stream.on('error', (error) => {
      failure = error;
    });
    stream.on('close', () => this.#onClose(stream, failure));
    if (body.kind === 'bytes') stream.end(body.bytes);
    // Its failure is that of the stream.
    else if (body.kind !== 'none') pipeline(readBody(body), stream, () => {});
  }

  #pseudoHeaders(): OutgoingHttpHeaders {
    const { url, method, headers, body } = this.#request;
    const sent: OutgoingHttpHeaders = {
      ':method': method,
      ':path': `${url.pathname}${url.search}`,
      ':scheme': url.protocol.slice(0, -1),
      ':authority': url.host,
    };
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at] ?? '';
      sent[name === 'host' ? ':authority' : name] = headers[at + 1];
    }
    if (body.kind === 'bytes') sent['content-length'] = body.bytes.byteLength;
    return sent;
  }

  #onHead(given: IncomingHttpHeaders): void {
    if (this.#isDone) return;
    const headers = new Headers();
    for (const [name, value] of Object.entries(given)) {
      if (name.startsWith(':') || value === undefined) continue;
      for (const one of [value].flat()) appendHeader(headers, name, one);
    }
    const status = Number(given[':status']);
    const hasBody = this.#request.method !== 'HEAD' && status !== 204 && status !== 304;
    const length = given['content-length'];
    if (hasBody && length !== undefined) this.#missingBytes = Number(length);
    this.#handler.head({ status, statusText: '', headers, isEndFramed: true, isDecoded: false });
  }

  #onClose(stream: ClientHttp2Stream, failure: unknown): void {
    if (this.#isDone) return;
    // Node does not compare them.
    if ((this.#missingBytes ?? 0) !== 0) failure ??= new Error('not as long as its content-length');
    if (
      failure === undefined &&
      this.#hasEnded &&
      stream.rstCode === constants.NGHTTP2_NO_ERROR &&
      !stream.aborted
    ) {
      this.#isDone = true;
      this.#connection.ended(this);
      this.#handler.end();
      return;
    }
    this.failWith(failure ?? new Error(`the stream was closed with code ${stream.rstCode}`));
  }

  failWith(cause: unknown): void {
    if (this.#isDone) return;
    const stream = this.#stream;
    const isUntouched = stream !== undefined && this.#connection.isRefused(stream);
    const written = this.#written();
    this.#isDone = true;
    this.#connection.ended(this);
    stream?.destroy();
    const isCounted = this.#connection.countFailure();
    this.#handler.fail({ cause, written, isUntouched, isReuseRace: false, isCounted });
  }

  #written(): Written {
    const stream = this.#stream;
    if (stream === undefined || stream.pending) return 'none';
    const { kind } = this.#request.body;
    return kind === 'none' || kind === 'bytes' || stream.writableFinished ? 'all' : 'partial';
  }

  resume(): void {
    this.#stream?.resume();
  }

  cancel(_reason: unknown, isLate: boolean): Written {
    const written = this.#written();
    if (this.#isDone) return written;
    this.#isDone = true;
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    const isSilent = isLate && this.#connection.bytesRead === this.#bytesReadBefore;
    this.#connection.ended(this);
    if (isSilent) this.#connection.endSilent();
    return written;
  }
}
