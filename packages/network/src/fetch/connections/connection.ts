import type { Socket } from 'node:net';
import type { FetchSettings } from '../options.ts';
import type { Written } from '../errors.ts';
import type { RequestBody } from '../body/request-body.ts';

/** A request as it is sent. */
export interface WireRequest {
  readonly url: URL;
  readonly method: string;
  /** Names in lower case, each followed by its value. */
  readonly headers: readonly string[];
  readonly body: RequestBody;
  readonly isIdempotent: boolean;
}

export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  /** Whether length, chunks or frames say where the body ends; else it ends with the connection. */
  readonly isEndFramed: boolean;
  /** The transport undoes content encodings by itself. */
  readonly isDecoded: boolean;
}

/** Why an exchange ended without an answer, or in the midst of one. */
export interface ExchangeFailure {
  readonly cause: unknown;
  readonly written: Written;
  /** The server has not begun with it, as it says itself; it may be sent again whatever it is. */
  readonly isUntouched: boolean;
  /** A kept connection was closed before any byte of the answer. */
  readonly isReuseRace: boolean;
  /** Another exchange has failed of the same: one broken connection is one failure of the server. */
  readonly isCounted: boolean;
}

/** What an exchange tells: a head, then data, then `end` or `fail`; or `fail` at once. Nothing after these. */
export interface ExchangeHandler {
  head(head: ResponseHead): void;
  /** Returns false to be given no more until {@link HttpExchange.resume}. */
  data(chunk: Uint8Array): boolean;
  end(): void;
  fail(failure: ExchangeFailure): void;
}

/** One request and its answer. */
export interface HttpExchange {
  resume(): void;
  /** Ends it; its handler is told nothing more. `isLate`: its deadline has passed. @returns what was written. */
  cancel(reason: unknown, isLate: boolean): Written;
}

/** An open connection. */
export interface OriginConnection {
  /** The IP address, if it is known. */
  readonly address: string | undefined;
  /** `undefined` where the transport keeps it to itself. */
  readonly socket: Socket | undefined;
  /** Whether it takes a further exchange now. */
  readonly isAvailable: boolean;
  readonly inFlight: number;
  send(request: WireRequest, handler: ExchangeHandler): HttpExchange;
  /** Takes no further exchanges, and closes when the last has ended. */
  drain(): void;
  destroy(reason: Error): void;
}

/** What a pool wants to hear of a connection. */
export interface ConnectionOwner {
  /** An exchange has ended, and the connection may take another. */
  idle(connection: OriginConnection): void;
  /** It takes no further exchanges, for a reason of its own. */
  draining(connection: OriginConnection, reason: 'silent' | 'goaway'): void;
  closed(connection: OriginConnection): void;
}

export type ConnectionSettings = Pick<FetchSettings, 'clock' | 'keepAliveMs' | 'pingAfterMs'>;

/** Connections of one origin. */
export interface ConnectionSource {
  /**
   * Calls `send` with a connection that takes an exchange, in the turn in which it has it: in between it might be
   * drained, because nobody uses it.
   * @throws the error of the dialer, or the signal's reason
   */
  acquire(
    signal: () => AbortSignal,
    isFresh: boolean,
    send: (connection: OriginConnection) => void,
  ): void | Promise<void>;
  stats(): { connections: number; draining: number; addresses: readonly string[] };
  readonly inUse: boolean;
  close(reason: Error): void;
}

/** Appends headers as the wire has them; a value that the platform refuses is taken byte by byte. */
export function appendHeader(headers: Headers, name: string, value: string): void {
  try {
    headers.append(name, value);
  } catch {
    try {
      headers.append(name, Buffer.from(value, 'utf8').toString('latin1'));
    } catch {
      // A name or value that no Headers can hold: undici and fetch drop such a header as well.
    }
  }
}
