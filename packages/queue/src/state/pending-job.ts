import { onAbort } from '@holdfast/foundation';
import type { StoredJob } from '../fallback/record.ts';
import type { OperationOutcome } from '../control/control.ts';
import type { OperationKind } from '../control/operation.ts';
import type { Accepted, Acceptor } from '../queue.ts';
import type { Debounce } from '../backend.ts';

/** The arguments of an `enqueue` call, validated and serialized. */
export interface Submission {
  readonly topic: string;
  /** JSON. */
  readonly payload: string;
  readonly id: string;
  /** The caller chose the id. */
  readonly unique: boolean;
  readonly enqueuedAtMs: number;
  /** The earliest time of delivery, in milliseconds since the Unix epoch; 0 for no delay. */
  readonly dueAtMs: number;
  /** The priority or the key's hash; see `scheduling.ts`. */
  readonly routing?: string | undefined;
  /** What the job asks of its consumer; see `producer/job-options.ts`. */
  readonly attributes?: string | undefined;
  /** It is no job, but an operation on the topic. */
  readonly operation?: OperationKind | undefined;
  readonly expiresInMs?: number | undefined;
  readonly debounce?: Debounce | undefined;
}

/** The answer to an operation, which is accepted as a job is. */
interface AcceptedOperation extends Accepted {
  /** Absent while the store has not told it. */
  outcome?: OperationOutcome;
}

/** What the store has told of an operation; its kind decides which outcomes there are. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows the operation
export function outcomeOf<Outcome extends OperationOutcome>(
  answer: AcceptedOperation,
): Outcome | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the store answers with an outcome of this operation
  return answer.outcome as Outcome | undefined;
}

/** Called when a job is accepted after its caller has given up. */
export type OnLate = (answer: Accepted) => void;

/** A job whose `enqueue` has not settled yet. */
export class PendingJob {
  /** The job as Redis or the journal stores it, with its sequence. */
  readonly job: StoredJob;
  /** Settles as the `enqueue` does. */
  readonly outcome: Promise<Accepted>;
  /** The job was sent to Redis at least once, so Redis may have it without having confirmed it. */
  wasSent = false;
  /**
   * Its caller was told that its write to the journal may still end. Until that is known, Redis must not pass it over:
   * a later job of the topic is preceded by it.
   */
  isInDoubt = false;
  #isSettled = false;
  readonly #onSettled: (job: StoredJob) => void;
  #resolve!: (accepted: Accepted) => void;
  #reject!: (error: unknown) => void;
  /** Removes the listener from the caller's signal, if there is one. */
  #unlisten: (() => void) | undefined;
  #onLate: OnLate | undefined;

  /**
   * @param onSettled called once, when `outcome` settles; one function shared by all jobs.
   * @param onLate called once, if the job is accepted after `outcome` has been rejected.
   */
  constructor(
    job: StoredJob,
    onSettled: (job: StoredJob) => void,
    signal: AbortSignal | undefined,
    onLate?: OnLate,
  ) {
    this.job = job;
    this.#onSettled = onSettled;
    this.#onLate = onLate;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal !== undefined) this.#listen(signal);
  }

  /** The job was accepted or rejected, or its caller gave up. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** @param outcome what became of an operation, where the store has told it. */
  accept(acceptor: Acceptor, isDuplicate = false, outcome?: OperationOutcome): void {
    const onLate = this.#onLate;
    this.#onLate = undefined;
    if (this.#isSettled && onLate === undefined) return;
    const { id } = this.job;
    const answer: AcceptedOperation = isDuplicate
      ? { id, accepted: acceptor, duplicate: true }
      : { id, accepted: acceptor };
    if (outcome !== undefined) answer.outcome = outcome;
    if (this.#isSettled) return onLate?.(answer);
    this.#settle();
    this.#resolve(answer);
  }

  reject(error: unknown): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#reject(error);
  }

  #listen(signal: AbortSignal): void {
    if (signal.aborted) this.reject(signal.reason);
    else this.#unlisten = onAbort(signal, () => this.reject(signal.reason));
  }

  #settle(): void {
    this.#isSettled = true;
    this.#unlisten?.();
    this.#onSettled(this.job);
  }
}
