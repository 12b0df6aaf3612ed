import { callSafely, onAbort } from '@holdfast/foundation';
import { NotSentError, PartialEnqueueError, PoisonJobError, isNotApplied } from '../errors.ts';
import type { ResolvedEnqueueManyOptions } from '../options.ts';
import type { Accepted } from '../queue.ts';
import type { OnLate, Submission } from '../state/pending-job.ts';

/** An `enqueue` or `enqueueMany` whose jobs are submitted one after the other. */
export interface EnqueueCall {
  readonly jobs: readonly Submission[];
  readonly signal: AbortSignal | undefined;
  /** No further job of the call is to be submitted: the caller has given up, or a job was rejected. */
  readonly isStopped: boolean;
  /** Called once, when the call is stopped. */
  onStopped: (() => void) | undefined;
  accepted(index: number, answer: Accepted): void;
  rejected(index: number, error: unknown): void;
  /** What is called when the job is accepted after it was rejected; `undefined` if nobody wants to know. */
  onLateOf(index: number): OnLate | undefined;
  /** The job is not submitted, because the call is stopped. */
  skipped(index: number): void;
}

/** The call of one job. */
export class SingleCall implements EnqueueCall {
  readonly jobs: readonly Submission[];
  readonly signal: AbortSignal | undefined;
  readonly outcome: Promise<Accepted>;
  isStopped = false;
  onStopped: (() => void) | undefined;
  #resolve!: (answer: Accepted) => void;
  #reject!: (error: unknown) => void;
  readonly #unlisten: () => void;
  readonly #onLate: OnLate | undefined;

  constructor(job: Submission, signal: AbortSignal | undefined, onLate?: OnLate) {
    this.jobs = [job];
    this.signal = signal;
    this.#onLate = onLate;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#unlisten = onAbort(signal, () => this.rejected(0, signal?.reason));
  }

  accepted(_: number, answer: Accepted): void {
    this.#unlisten();
    this.#resolve(answer);
  }

  rejected(_: number, error: unknown): void {
    this.#unlisten();
    this.#reject(error);
    this.isStopped = true;
    this.onStopped?.();
  }

  onLateOf(): OnLate | undefined {
    return this.#onLate;
  }

  /** It is settled. */
  skipped(): void {}
}

/**
 * The call of several jobs. Resolves with their answers in their order. The first job that is rejected, except a
 * poison job, stops those that have not been submitted.
 */
export class ListCall implements EnqueueCall {
  readonly jobs: readonly Submission[];
  readonly signal: AbortSignal | undefined;
  /** Rejects as documented for `enqueueMany`. */
  readonly outcome: Promise<Accepted[]>;
  isStopped = false;
  onStopped: (() => void) | undefined;
  /** By the positions of the jobs. */
  readonly #results: PromiseSettledResult<Accepted>[] = [];
  #left: number;
  /** The error of the first rejected job. */
  #failure: { readonly error: unknown } | undefined;
  #resolve!: (answers: Accepted[]) => void;
  #reject!: (error: unknown) => void;
  readonly #unlisten: () => void;
  readonly #onAccepted: ResolvedEnqueueManyOptions['onAccepted'];

  constructor(jobs: readonly Submission[], { signal, onAccepted }: ResolvedEnqueueManyOptions) {
    this.jobs = jobs;
    this.signal = signal;
    this.#onAccepted = onAccepted;
    this.#left = jobs.length;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#unlisten = onAbort(signal, () => {
      this.#reject(signal?.reason);
      this.#stop();
    });
    if (jobs.length === 0) this.#finish();
  }

  accepted(index: number, answer: Accepted): void {
    this.#tell(index, answer);
    this.#settle(index, { status: 'fulfilled', value: answer });
  }

  onLateOf(index: number): OnLate | undefined {
    return this.#onAccepted && ((answer) => this.#tell(index, answer));
  }

  rejected(index: number, error: unknown): void {
    this.#failure ??= { error };
    this.#settle(index, { status: 'rejected', reason: error });
    if (!(error instanceof PoisonJobError)) this.#stop();
  }

  skipped(index: number): void {
    this.#settle(index, { status: 'rejected', reason: new NotSentError(this.#failure?.error) });
  }

  #tell(index: number, answer: Accepted): void {
    if (this.#onAccepted === undefined) return;
    callSafely('onAccepted of enqueueMany', this.#onAccepted, answer, index);
  }

  #stop(): void {
    if (this.isStopped) return;
    this.isStopped = true;
    this.onStopped?.();
  }

  #settle(index: number, result: PromiseSettledResult<Accepted>): void {
    this.#results[index] = result;
    this.#left -= 1;
    if (this.#left === 0) this.#finish();
  }

  #finish(): void {
    this.#unlisten();
    const results = this.#results;
    const answers = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    if (this.#failure === undefined) return this.#resolve(answers);
    const { error } = this.#failure;
    const isNothingApplied = results.every(
      (one) => one.status === 'rejected' && isNotApplied(one.reason),
    );
    const topic = this.jobs[0]?.topic ?? '';
    this.#reject(isNothingApplied ? error : new PartialEnqueueError(topic, results, error));
  }
}
