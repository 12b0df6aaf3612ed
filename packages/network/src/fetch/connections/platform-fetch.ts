import { errorChain, propertyOf } from '@holdfast/foundation';
import { unconnectedCodes } from '../../unconnected-codes.ts';
import { readBody } from '../body/request-body.ts';
import type { Written } from '../errors.ts';
import type {
  OriginConnection,
  ConnectionSource,
  HttpExchange,
  ExchangeHandler,
  WireRequest,
} from './connection.ts';

/** What this transport cannot promise. */
export const LIMITATIONS: readonly string[] = [
  'the address that is connected is not checked: a name may lead to a private address',
  'connections to addresses that a name has no more are kept while they are used',
  'a body with a content encoding may end early unnoticed, and is flagged unverifiedEnd',
  'what of a request was written is not known: every failure but a refused connection counts as written',
];

/** A kept connection was closed: what fetch says of it. */
const CLOSED = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** The fetch of the platform, which keeps its connections itself. */
export class PlatformFetch implements ConnectionSource {
  readonly #running = new Set<PlatformExchange>();

  get inUse(): boolean {
    return this.#running.size > 0;
  }

  acquire(_signal: unknown, _isFresh: boolean, send: (connection: OriginConnection) => void): void {
    send({
      address: undefined,
      socket: undefined,
      isAvailable: true,
      inFlight: 0,
      send: (request, handler) => {
        const exchange = new PlatformExchange(request, handler, () => {
          this.#running.delete(exchange);
        });
        this.#running.add(exchange);
        return exchange;
      },
      drain: () => {},
      destroy: () => {},
    });
  }

  stats(): { connections: number; draining: number; addresses: readonly string[] } {
    return { connections: 0, draining: 0, addresses: [] };
  }

  close(reason: Error): void {
    for (const exchange of this.#running) exchange.fail(reason);
  }
}

class PlatformExchange implements HttpExchange {
  readonly #handler: ExchangeHandler;
  readonly #ended: () => void;
  readonly #aborter = new AbortController();
  #hasHead = false;
  #isDone = false;
  #resume: (() => void) | undefined;

  constructor(request: WireRequest, handler: ExchangeHandler, ended: () => void) {
    this.#handler = handler;
    this.#ended = ended;
    this.#run(request).catch((error: unknown) => this.fail(error));
  }

  async #run(request: WireRequest): Promise<void> {
    const { url, method, body } = request;
    const headers = new Headers(pairsOf(request.headers));
    const isStream = body.kind !== 'none' && body.kind !== 'bytes';
    const sent = body.kind === 'bytes' ? body.bytes : undefined;
    const response = await fetch(url, {
      method,
      headers,
      redirect: 'manual',
      signal: this.#aborter.signal,
      ...(sent !== undefined && { body: sent }),
      ...(isStream && { body: streamOf(body), duplex: 'half' }),
    });
    if (this.#isDone) return;
    this.#hasHead = true;
    const { status, statusText } = response;
    const isEncoded = response.headers.has('content-encoding');
    const isFramed =
      response.headers.has('content-length') || response.headers.has('transfer-encoding');
    const isEmpty = response.body === null;
    this.#handler.head({
      status,
      statusText,
      headers: response.headers,
      isEndFramed: isEmpty || (isFramed && !isEncoded),
      isDecoded: true,
    });
    for await (const chunk of response.body ?? []) {
      if (this.#isDone) return;
      if (!this.#handler.data(chunk)) await this.#untilResumed();
    }
    if (this.#isDone) return;
    this.#isDone = true;
    this.#ended();
    this.#handler.end();
  }

  #untilResumed(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#resume?.();
  }

  fail(error: unknown): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#aborter.abort(error);
    this.#resume?.();
    this.#ended();
    const codes = [...errorChain(error)].map((inner) => propertyOf(inner, 'code'));
    const isUnconnected = codes.some((code) => unconnectedCodes.has(code));
    const isClosed = codes.some((code) => typeof code === 'string' && CLOSED.has(code));
    this.#handler.fail({
      cause: error,
      written: isUnconnected ? 'none' : 'all',
      isUntouched: false,
      isCounted: false,
      isReuseRace: isClosed && !this.#hasHead,
    });
  }

  cancel(reason: unknown): Written {
    if (!this.#isDone) {
      this.#isDone = true;
      this.#aborter.abort(reason);
      this.#resume?.();
      this.#ended();
    }
    return 'all';
  }
}

function pairsOf(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, at): [string, string][] =>
    at % 2 === 0 ? [[name, flat[at + 1] ?? '']] : [],
  );
}

function streamOf(body: WireRequest['body']): ReadableStream {
  return ReadableStream.from(readBody(body));
}
