import { createEmitter, withDeadline } from '@holdfast/foundation';
import {
  ContentMismatchError,
  ContentTooLargeError,
  GatewaysFailedError,
  RouteTimeoutError,
} from '../errors.ts';
import { Gateway } from './gateway.ts';
import {
  type DownloadOptions,
  type DownloadedContent,
  type Gateways,
  type GatewaysEvents,
  type GatewaysOptions,
  type GatewaysStats,
  gatewaysEventKinds,
} from './gateways.ts';
import {
  type ResolvedDownload,
  type ResolvedGatewaysOptions,
  parseDownload,
  parseGatewaysOptions,
} from './gateways-options.ts';
import { type DownloadProgress, ContentTransfer } from './transfer.ts';

/**
 * Makes one source of content of several gateways.
 * @throws InvalidOptionError naming the field
 */
export function createGateways(options: GatewaysOptions): Gateways {
  return new GatewaySet(parseGatewaysOptions(options));
}

class GatewaySet implements Gateways {
  readonly #events = createEmitter<GatewaysEvents>('holdfast:network:gateways', gatewaysEventKinds);
  readonly on = this.#events.on;
  readonly #options: ResolvedGatewaysOptions;
  readonly #gateways: readonly Gateway[];
  readonly #counts = { downloads: 0, failedDownloads: 0, resumes: 0, mismatches: 0 };

  constructor(options: ResolvedGatewaysOptions) {
    this.#options = options;
    this.#gateways = options.gateways.map((url) => new Gateway(url, options));
  }

  async download(path: string, options?: DownloadOptions): Promise<DownloadedContent> {
    const call = parseDownload('download', path, options, this.#options);
    const { timeoutMs, signal } = call;
    this.#counts.downloads += 1;
    try {
      return await withDeadline(
        this.#options.clock,
        timeoutMs,
        signal,
        () => new RouteTimeoutError(call.path, timeoutMs),
        (limit) => this.#collect(call, limit),
      );
    } catch (error) {
      this.#counts.failedDownloads += 1;
      throw error;
    }
  }

  async *stream(path: string, options?: DownloadOptions): AsyncGenerator<Uint8Array, void, void> {
    const call = parseDownload('stream', path, options, this.#options);
    const { timeoutMs } = call;
    call.signal?.throwIfAborted();
    this.#counts.downloads += 1;
    const limit = new AbortController();
    const timer = this.#options.clock.schedule(timeoutMs, () =>
      limit.abort(new RouteTimeoutError(call.path, timeoutMs)),
    );
    const signal =
      call.signal === undefined ? limit.signal : AbortSignal.any([limit.signal, call.signal]);
    let isDone = false;
    try {
      yield* this.#transfer(call, this.#progress(call), true, signal).chunks();
      isDone = true;
    } finally {
      timer.cancel();
      if (!isDone) this.#counts.failedDownloads += 1;
    }
  }

  async close(): Promise<void> {
    await this.#options.ownFetch?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  getStats(): GatewaysStats {
    return {
      ...this.#counts,
      gateways: this.#gateways.map(({ url, requests, failures, breaker }) => ({
        url,
        requests,
        failures,
        circuit: breaker.getStats(),
      })),
    };
  }

  /** Content that cannot be joined, or is not what was asked for, is received anew: as a whole, from one gateway. */
  async #collect(call: ResolvedDownload, signal: AbortSignal): Promise<DownloadedContent> {
    const progress = this.#progress(call);
    let mayResume = true;
    while (true) {
      const transfer = this.#transfer(call, progress, mayResume, signal);
      try {
        const chunks: Uint8Array[] = [];
        for await (const chunk of transfer.chunks()) chunks.push(chunk);
        return {
          bytes: Buffer.concat(chunks),
          gateways: transfer.sources.map(({ url }) => url),
          isVerified: call.createVerifier !== undefined,
        };
      } catch (error) {
        if (signal.aborted || error instanceof GatewaysFailedError) throw error;
        // Without a digest, content that is too large is so everywhere.
        if (error instanceof ContentTooLargeError && call.createVerifier === undefined) throw error;
        // Both parts may have been good, of two versions: each gateway may send its own whole.
        const isJoined = error instanceof ContentMismatchError && error.gateways.length > 1;
        if (isJoined && mayResume) progress.failures.clear();
        mayResume = false;
      }
    }
  }

  #transfer(
    call: ResolvedDownload,
    progress: DownloadProgress,
    mayResume: boolean,
    signal: AbortSignal,
  ): ContentTransfer {
    const { options, gateways } = { options: this.#options, gateways: this.#gateways };
    return new ContentTransfer({ gateways, options, call, progress, mayResume, signal });
  }

  #progress({ path }: ResolvedDownload): DownloadProgress {
    return {
      attempts: [],
      failures: new Map(),
      onFailed: (gateway, error) => {
        if (error instanceof ContentMismatchError) this.#counts.mismatches += 1;
        this.#events.emit('failed', { gateway: gateway.url, path, error });
      },
      onResumed: (gateway, offset) => {
        this.#counts.resumes += 1;
        this.#events.emit('resumed', { gateway: gateway.url, path, offset });
      },
    };
  }
}
