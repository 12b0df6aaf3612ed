import type { Clock, Subscribe, EventKinds } from '@holdfast/foundation';
import type { CircuitBreakerOptions, CircuitBreakerStats } from '@holdfast/resilience';
import type { ResilientFetchOptions } from '../../fetch/resilient-fetch.ts';

/** Says whether content is what was asked for, while it streams: one for each download. */
export interface ContentVerifier {
  update(chunk: Uint8Array): void;
  /** Called once, after the last chunk. */
  matches(): boolean | Promise<boolean>;
}

/** As the global `fetch` and a `ResilientFetch`, as far as gateways need it. */
export type GatewayFetch = (
  url: string,
  init: {
    readonly headers: Record<string, string>;
    readonly signal: AbortSignal;
    /** That of the download, for a fetch with a deadline of its own. */
    readonly timeoutMs: number;
  },
) => Promise<Response>;

/** Options of `createGateways`. All times in milliseconds, all sizes in bytes. */
export interface GatewaysOptions {
  /** Absolute URLs of http or https, 1 to 64, each with a path prefix or without, the most preferred first. */
  readonly gateways: readonly string[];
  /**
   * `ordered`: the next gateway when one fails. `fastest`: also when one has not answered within `hedgeAfterMs`; the first
   * that answers sends the content, the others are aborted. Default `ordered`.
   */
  readonly strategy?: 'ordered' | 'fastest';
  /** For `fastest`: 0 asks all gateways at once. Default 200. */
  readonly hedgeAfterMs?: number;
  /**
   * Such as a `ResilientFetch` or the global fetch. Default: a resilient fetch of its own, which makes one attempt, as the
   * next one is for another gateway.
   */
  readonly fetch?: GatewayFetch;
  /** As for `createDialer`: private addresses that a gateway may have. Only without a `fetch`. */
  readonly allowPrivate?: ResilientFetchOptions['allowPrivate'];
  /** As for `createResilientFetch`: answers the names. Only without a `fetch`. Default: one of its own. */
  readonly resolver?: ResilientFetchOptions['resolver'];
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Of each gateway. Default: 3 failures in a row open it for 30 s. While all are open, one download at a time asks each
   * gateway nevertheless, for a tenth of the time: the first that answers again serves at once.
   */
  readonly circuitBreaker?: Omit<CircuitBreakerOptions, 'name' | 'clock'>;
  /** Default 64 MiB. */
  readonly maxBytes?: number;
  /** From the call to the last byte. Default 60 000. */
  readonly timeoutMs?: number;
  /** From a request to the head of its response. Default 10 000. */
  readonly headTimeoutMs?: number;
  /** Between two chunks. Default 10 000. */
  readonly stallTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

/** Options of one download. */
export interface DownloadOptions {
  /** The SHA-256 of the content: `sha256-` and base64, or 64 hexadecimal digits. */
  readonly digest?: string;
  /** Makes the verifier of content whose identity is no SHA-256, such as a CID. */
  readonly verify?: () => ContentVerifier;
  /** Headers of each request. Default: none beside those of the range. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The longest content that is taken. Default: that of the gateways. */
  readonly maxBytes?: number;
  /** How long the whole download may take, in milliseconds. Default: that of the gateways. */
  readonly timeoutMs?: number;
  /** Ends the download; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The content, and which gateways it is from. */
export interface DownloadedContent {
  readonly bytes: Uint8Array;
  /** Those that sent parts of it, in this order. */
  readonly gateways: readonly string[];
  /** Whether a digest or a verifier has confirmed it. */
  readonly isVerified: boolean;
}

/** Also published on `node:diagnostics_channel` as `holdfast:network:gateways:<kind>`. */
export interface GatewaysEvents {
  failed: { readonly gateway: string; readonly path: string; readonly error: unknown };
  resumed: { readonly gateway: string; readonly path: string; readonly offset: number };
}

export const gatewaysEventKinds: EventKinds<GatewaysEvents> = { failed: true, resumed: true };

/** Numbers of one gateway. */
export interface GatewayStats {
  readonly url: string;
  readonly requests: number;
  readonly failures: number;
  readonly circuit: CircuitBreakerStats;
}

/** Numbers of all gateways, read at any time. */
export interface GatewaysStats {
  readonly downloads: number;
  readonly failedDownloads: number;
  /** Downloads continued at a later byte. */
  readonly resumes: number;
  /** Contents that were not what was asked for. */
  readonly mismatches: number;
  readonly gateways: readonly GatewayStats[];
}

/**
 * Several servers of the same content, such as the gateways of IPFS or mirrors.
 *
 * - What is handed over is whole, and what was asked for where a digest or a verifier is given.
 * - Parts of two gateways are joined only where that is proved: by the digest at the end, by an equal strong ETag, or by an
 *   equal beginning.
 * - Bounds: bytes, the time of the call, of a head and between two chunks.
 */
export interface Gateways {
  /**
   * @param path from the first slash on, such as `/ipfs/bafy…`; it cannot leave the URL of the gateway
   * @throws GatewaysFailedError; ContentTooLargeError; RouteTimeoutError; InvalidOptionError; the signal's own reason
   */
  download(path: string, options?: DownloadOptions): Promise<DownloadedContent>;
  /**
   * The chunks as they come. What it has given is confirmed only when it ends: content that is not what was asked for ends
   * with ContentMismatchError.
   */
  stream(path: string, options?: DownloadOptions): AsyncGenerator<Uint8Array, void, void>;
  readonly on: Subscribe<GatewaysEvents>;
  getStats(): GatewaysStats;
  /** Closes the connections of its own fetch; downloads that run fail. Calling it twice does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
