import { Worker } from 'node:worker_threads';
import { abortable, describeThrown, propertyOf } from '@holdfast/foundation';
import { IndexBuildError } from '../errors.ts';
import type { BuiltIndex } from './index-builder.ts';
import type { BuildReply, BuildRequest, BuildWorkerData } from './messages.ts';

/**
 * Its young generation is small, because bundles are read once and dropped: a large one would only keep more of them.
 * The columns are outside of the heap.
 */
const YOUNG_GENERATION_MB = 24;

interface BuildWorkerOptions extends BuildWorkerData {
  readonly maxHeapMb: number;
  readonly maxInFlight: number;
  /** For tests. Default: the worker that builds. */
  readonly main?: URL;
}

/** The thread that builds an index, seen from the thread that wants it. */
export class BuildWorker {
  readonly #worker: Worker;
  readonly #options: BuildWorkerOptions;
  readonly #failure = new AbortController();
  #inFlight = 0;
  /** Resolves what waits for the next reply. */
  #onReply: () => void = () => {};
  #built: BuiltIndex | undefined;

  constructor(options: BuildWorkerOptions) {
    const { maxBytes, maxHeapMb, main } = options;
    const workerData: BuildWorkerData = { maxBytes };
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const own = new URL(`./build-worker-main${extension}`, import.meta.url);
    this.#options = options;
    this.#worker = new Worker(main ?? own, {
      workerData,
      name: 'catalog-index',
      // What this process was started with may not be meant for a thread.
      execArgv: [],
      resourceLimits: {
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
        maxOldGenerationSizeMb: maxHeapMb,
      },
    });
    this.#worker.on('message', (reply: BuildReply) => this.#take(reply));
    this.#worker.on('messageerror', (error) =>
      this.#fail('a reply of the worker is unreadable', error),
    );
    this.#worker.on('error', (error) => this.#failWith(error));
    this.#worker.on('exit', (code) => this.#fail(`the worker ended with ${code}`));
  }

  /** Aborts, with the error, as soon as the worker fails. */
  get failed(): AbortSignal {
    return this.#failure.signal;
  }

  /** Sends a batch, when fewer than the limit are with the worker. The bytes are copied. */
  async add(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#inFlight < this.#options.maxInFlight, signal);
    this.#inFlight += 1;
    // Without the rest of a pool that it may be a part of.
    const copy = new Uint8Array(bytes);
    this.#send({ kind: 'batch', bytes: copy }, [copy.buffer]);
  }

  async finish(signal: AbortSignal): Promise<BuiltIndex> {
    this.#send({ kind: 'finish' }, []);
    await this.#until(() => this.#built !== undefined, signal);
    if (this.#built === undefined) throw new IndexBuildError('worker-failed', 'no index came');
    return this.#built;
  }

  /** Ends the thread, whatever it does. */
  async close(): Promise<void> {
    this.#worker.removeAllListeners();
    // What it throws while it ends is nobody's.
    this.#worker.on('error', () => {});
    await this.#worker.terminate();
  }

  #send(request: BuildRequest, transfer: ArrayBuffer[]): void {
    this.#worker.postMessage(request, transfer);
  }

  async #until(isMet: () => boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (!isMet()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onReply = resolve;
      await abortable(promise, signal);
    }
  }

  #take(reply: BuildReply): void {
    switch (reply.kind) {
      case 'added':
        this.#inFlight -= 1;
        break;
      case 'built':
        this.#built = reply.index;
        break;
      case 'failed':
        this.#failure.abort(new IndexBuildError(reply.reason, reply.seen));
        break;
    }
    this.#onReply();
  }

  #failWith(error: unknown): void {
    if (propertyOf(error, 'code') === 'ERR_WORKER_OUT_OF_MEMORY') {
      const seen = `the heap of the worker, of ${this.#options.maxHeapMb} MiB, is full`;
      this.#failure.abort(new IndexBuildError('out-of-memory', seen, error));
      return;
    }
    this.#fail(`the worker failed: ${describeThrown(error)}`, error);
  }

  #fail(seen: string, cause?: unknown): void {
    this.#failure.abort(new IndexBuildError('worker-failed', seen, cause));
  }
}
