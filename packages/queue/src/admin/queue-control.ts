import { boolean, integer, objectWith, optional, parseOptions } from '@holdfast/foundation';
import type { QueueBackend, RemovalPosition } from '../backend.ts';
import {
  BackendError,
  OperationUnsupportedError,
  PoisonJobError,
  PurgeInterruptedError,
} from '../errors.ts';
import { checkJobId, checkTopic } from '../producer/payload.ts';
import type { Accepted } from '../state/accepted.ts';
import { type Submission, outcomeOf } from '../state/pending-job.ts';
import type { RemainingDelays } from '../state/remaining-delays.ts';
import type { Controlled, OperationOutcome, QueueControl } from '../control/control.ts';
import type { OperationKind } from '../control/operation.ts';

interface ControlDeps {
  readonly backend: QueueBackend;
  readonly delays: RemainingDelays;
  readonly newId: () => string;
  readonly submit: (submission: Submission, signal: AbortSignal | undefined) => Promise<Accepted>;
  /** @throws QueueClosedError */
  readonly assertOpen: (tried: string) => void;
  /** Jobs of the topic were removed: there may be room for others. */
  readonly freed: (topic: string) => void;
}

const MAX_DELAY_MS = 10 * 365 * 86_400_000;

const signalRule = optional(objectWith<AbortSignal>(['aborted', 'addEventListener']));
const controlShape = { signal: signalRule };
const rescheduleShape = { delayMs: integer({ min: 0, max: MAX_DELAY_MS }), signal: signalRule };
const drainShape = { delayed: boolean(false), signal: signalRule };

/** An operation before it is submitted. */
interface Operation {
  readonly operation: OperationKind;
  readonly topic: string;
  /** The id of the job that it concerns. */
  readonly target?: string;
  readonly delayMs?: number;
  readonly signal: AbortSignal | undefined;
}

/** The operations of a queue on its topics and their jobs. */
export function createQueueControl(deps: ControlDeps): QueueControl {
  return {
    async pause(topic, options) {
      const { signal } = parseOptions('pause', controlShape, options);
      return operate(deps, { operation: 'pause', topic: checkTopic('pause', topic), signal });
    },
    async resume(topic, options) {
      const { signal } = parseOptions('resume', controlShape, options);
      return operate(deps, { operation: 'resume', topic: checkTopic('resume', topic), signal });
    },
    async isPaused(topic) {
      checkTopic('isPaused', topic);
      deps.assertOpen('isPaused');
      const { backend } = deps;
      if (backend.isPaused === undefined) throw new OperationUnsupportedError('isPaused');
      return backend.isPaused(topic);
    },
    async cancel(topic, id, options) {
      const { signal } = parseOptions('cancel', controlShape, options);
      return operate(deps, { operation: 'cancel', ...targeted('cancel', topic, id), signal });
    },
    async reschedule(topic, id, options) {
      const { delayMs, signal } = parseOptions('reschedule', rescheduleShape, options);
      const target = targeted('reschedule', topic, id);
      return operate(deps, { operation: 'reschedule', ...target, delayMs, signal });
    },
    async promote(topic, id, options) {
      const { signal } = parseOptions('promote', controlShape, options);
      return operate(deps, { operation: 'promote', ...targeted('promote', topic, id), signal });
    },
    async purge(topic, options) {
      const { signal } = parseOptions('purge', controlShape, options);
      return removeWaiting(deps, 'purge', topic, true, signal);
    },
    async drain(topic, options) {
      const { delayed, signal } = parseOptions('drain', drainShape, options);
      return removeWaiting(deps, 'drain', topic, delayed, signal);
    },
  };
}

function targeted(
  tried: OperationKind,
  topic: string,
  id: string,
): Pick<Operation, 'topic' | 'target'> {
  return { topic: checkTopic(tried, topic), target: checkJobId(tried, id) };
}

/** Submits an operation as a job is submitted. */
async function operate<Outcome extends OperationOutcome>(
  { backend, delays, newId, submit, assertOpen }: ControlDeps,
  { operation, topic, target, delayMs, signal }: Operation,
): Promise<Controlled<Outcome>> {
  assertOpen(operation);
  signal?.throwIfAborted();
  if (backend.operations?.includes(operation) !== true)
    throw new OperationUnsupportedError(operation);
  const { enqueuedAtMs, dueAtMs } = delays.timesOf(delayMs ?? 0);
  const submission: Submission = {
    topic,
    operation,
    payload: JSON.stringify(target ?? null),
    id: newId(),
    unique: false,
    enqueuedAtMs,
    dueAtMs,
  };
  const answer = await submit(submission, signal).catch((error: unknown) => {
    if (!(error instanceof PoisonJobError)) throw error;
    throw new OperationUnsupportedError(operation, error.reason, error);
  });
  const { id: operationId, accepted } = answer;
  const missing = accepted === backend.kind ? 'unknown' : 'pending';
  return { operationId, accepted, outcome: outcomeOf<Outcome>(answer) ?? missing };
}

async function removeWaiting(
  { backend, assertOpen, freed }: ControlDeps,
  tried: 'purge' | 'drain',
  topic: string,
  delayed: boolean,
  signal: AbortSignal | undefined,
): Promise<number> {
  checkTopic(tried, topic);
  assertOpen(tried);
  if (backend.removeWaiting === undefined) throw new OperationUnsupportedError(tried);
  let removed = 0;
  let after: RemovalPosition | undefined;
  try {
    do {
      signal?.throwIfAborted();
      const step = await backend.removeWaiting(topic, delayed, after);
      removed += step.removed;
      after = step.next;
    } while (after !== undefined);
  } catch (error) {
    if (removed > 0 && error instanceof BackendError) {
      throw new PurgeInterruptedError(tried, topic, removed, error);
    }
    throw error;
  } finally {
    if (removed > 0) freed(topic);
  }
  return removed;
}
