import {
  type Clock,
  type Timer,
  callSafely,
  callback,
  integer,
  objectWith,
  onAbort,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import { OperationUnsupportedError, QueueClosedError } from '../errors.ts';
import { checkJobId, checkTopic } from '../producer/payload.ts';
import { type StandardSchema, validateResult } from '../producer/schema.ts';
import { ResultUnknownError } from './errors.ts';
import { resultOf } from './outcome.ts';
import type { OutcomeState, OutcomeStore } from './outcome-store.ts';
import type { JobResults, ResultWaitOptions } from './results.ts';
import { TopicWatch } from './topic-watch.ts';

interface ResultWaitsDeps {
  readonly store: OutcomeStore | undefined;
  readonly clock: Clock;
  readonly schemaOf: (topic: string) => StandardSchema | undefined;
  /** @throws QueueClosedError */
  readonly assertOpen: (tried: string) => void;
}

const MAX_TIMEOUT_MS = 604_800_000;
const TIMEOUT_MS = 30_000;

const shape = {
  signal: optional(objectWith<AbortSignal>(['aborted', 'addEventListener'])),
  timeoutMs: integer({ min: 0, max: MAX_TIMEOUT_MS, default: TIMEOUT_MS }),
  onProgress: optional(callback<NonNullable<ResultWaitOptions['onProgress']>>()),
};

/** The calls of one queue that wait for outcomes, or ask for progress. */
export class ResultWaits implements JobResults {
  readonly #deps: ResultWaitsDeps;
  readonly #watches = new Map<string, TopicWatch>();
  readonly #waits = new Set<ResultWait>();

  constructor(deps: ResultWaitsDeps) {
    this.#deps = deps;
  }

  async result(topic: string, id: string, options?: ResultWaitOptions): Promise<unknown> {
    const resolved = parseOptions('result', shape, options);
    const { signal } = resolved;
    const store = this.#storeFor('result', topic, id);
    signal?.throwIfAborted();
    const wait = new ResultWait(topic, id, { ...resolved, clock: this.#deps.clock });
    this.#waits.add(wait);
    const watch = this.#watch(store, topic);
    const leave = watch.add(id, wait);
    try {
      const { json } = await wait.outcome;
      const schema = this.#deps.schemaOf(topic);
      const text = json === '' ? undefined : json;
      if (schema !== undefined) return await validateResult(topic, schema, text);
      return text === undefined ? undefined : JSON.parse(text);
    } finally {
      leave();
      this.#waits.delete(wait);
    }
  }

  async progress(topic: string, id: string): Promise<unknown> {
    const store = this.#storeFor('progress', topic, id);
    const [state] = await store.read(topic, [id]);
    return state?.progress === undefined ? undefined : JSON.parse(state.progress);
  }

  /** Every wait rejects; nothing is watched any more. */
  async close(): Promise<void> {
    for (const wait of this.#waits) wait.fail(new QueueClosedError('result', 'unknown'));
    const watches = [...this.#watches.values()];
    this.#watches.clear();
    await Promise.all(watches.map((watch) => watch.close()));
  }

  #storeFor(tried: 'result' | 'progress', topic: string, id: string): OutcomeStore {
    checkTopic(tried, topic);
    checkJobId(tried, id);
    this.#deps.assertOpen(tried);
    const { store } = this.#deps;
    if (store === undefined) throw new OperationUnsupportedError(tried);
    return store;
  }

  #watch(store: OutcomeStore, topic: string): TopicWatch {
    const known = this.#watches.get(topic);
    if (known !== undefined) return known;
    const watch = new TopicWatch(store, topic, this.#deps.clock, () => {
      if (this.#watches.get(topic) === watch) this.#watches.delete(topic);
    });
    this.#watches.set(topic, watch);
    return watch;
  }
}

/** One call that waits for the outcome of a job. */
class ResultWait {
  readonly outcome: Promise<{ readonly json: string }>;
  readonly #topic: string;
  readonly #id: string;
  readonly #onProgress: ResultWaitOptions['onProgress'] | undefined;
  readonly #timer: Timer | undefined;
  readonly #timeoutMs: number;
  readonly #unlisten: () => void;
  #resolve!: (outcome: { readonly json: string }) => void;
  #reject!: (error: unknown) => void;
  #progress: string | undefined;
  #failure: unknown;

  constructor(
    topic: string,
    id: string,
    options: {
      readonly signal: AbortSignal | undefined;
      readonly timeoutMs: number;
      readonly onProgress: ResultWaitOptions['onProgress'] | undefined;
      readonly clock: Clock;
    },
  ) {
    const { signal, timeoutMs, onProgress, clock } = options;
    this.#topic = topic;
    this.#id = id;
    this.#timeoutMs = timeoutMs;
    this.#onProgress = onProgress;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#unlisten = onAbort(signal, () => this.fail(signal?.reason));
    if (timeoutMs > 0) this.#timer = clock.schedule(timeoutMs, () => this.#giveUp());
  }

  /** What the store knows of the job. */
  read(state: OutcomeState): void {
    this.#failure = undefined;
    this.#show(state.progress);
    try {
      const outcome = resultOf(this.#topic, this.#id, state);
      if (outcome !== undefined) {
        this.#end();
        this.#resolve(outcome);
      } else if (this.#timeoutMs === 0) this.#giveUp();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The store could not be asked; it is asked again. */
  notRead(error: unknown): void {
    this.#failure = error;
    if (this.#timeoutMs === 0) this.#giveUp();
  }

  fail(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  #giveUp(): void {
    this.fail(new ResultUnknownError(this.#topic, this.#id, this.#timeoutMs, this.#failure));
  }

  #show(progress: string | undefined): void {
    if (progress === undefined || progress === this.#progress) return;
    this.#progress = progress;
    if (this.#onProgress === undefined) return;
    callSafely('onProgress of result', this.#onProgress, JSON.parse(progress));
  }

  #end(): void {
    this.#timer?.cancel();
    this.#unlisten();
  }
}
