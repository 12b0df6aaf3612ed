import type { PublishedJob } from '../backend.ts';
import type { OperationOutcome } from '../control/control.ts';
import { targetOf } from '../control/operation.ts';

/** A job that waits, or that a consumer holds. */
interface Entry {
  readonly handle: string;
  readonly job: PublishedJob;
  readonly history: readonly string[] | undefined;
  readonly owner: string | undefined;
  readonly deliveries: number;
}

interface DelayedJob {
  readonly dueAtMs: number;
  readonly job: PublishedJob;
  readonly history: readonly string[] | undefined;
  readonly deliveries: number;
}

/** The part of a topic in memory that operations change. */
interface OperatedTopic {
  isPaused: boolean;
  readonly size: number;
  readonly isUsed: boolean;
  readonly entries: Map<string, Entry>;
  delayed: DelayedJob[];
  readonly cancelled: Set<string>;
  append(job: PublishedJob, history?: readonly string[], deliveries?: number): void;
}

/** Applies an operation, by the same rules as the scripts of Redis. */
export function applyOperation(
  topic: OperatedTopic,
  operation: PublishedJob,
  nowMs: number,
): OperationOutcome {
  const { operation: kind, delayMs = 0 } = operation;
  if (kind === 'pause') return pause(topic);
  if (kind === 'cancel') return cancel(topic, targetOf(operation));
  if (kind === 'reschedule') return reschedule(topic, targetOf(operation), nowMs + delayMs);
  if (kind === 'promote') return promote(topic, targetOf(operation));
  return resume(topic);
}

function resume(topic: OperatedTopic): OperationOutcome {
  const wasPaused = topic.isPaused;
  topic.isPaused = false;
  return wasPaused ? 'resumed' : 'not-paused';
}

function pause(topic: OperatedTopic): OperationOutcome {
  if (topic.isPaused) return 'already-paused';
  if (!topic.isUsed) return 'unknown-topic';
  topic.isPaused = true;
  return 'paused';
}

function cancel(topic: OperatedTopic, id: string): OperationOutcome {
  if (removeDelayed(topic, id) !== undefined) return 'removed';
  const entry = entryOf(topic, id);
  if (entry === undefined) return 'not-found';
  if (entry.owner === undefined) {
    topic.entries.delete(entry.handle);
    return 'removed';
  }
  topic.cancelled.add(entry.handle);
  return 'aborting';
}

function reschedule(topic: OperatedTopic, id: string, dueAtMs: number): OperationOutcome {
  const delayed = removeDelayed(topic, id);
  const entry = delayed === undefined ? entryOf(topic, id) : undefined;
  if (entry?.owner !== undefined) return 'running';
  const job = delayed ?? entry;
  if (job === undefined) return 'not-found';
  if (entry !== undefined) topic.entries.delete(entry.handle);
  const { history, deliveries } = job;
  topic.delayed.push({ dueAtMs, job: job.job, history, deliveries });
  return 'rescheduled';
}

function promote(topic: OperatedTopic, id: string): OperationOutcome {
  const delayed = removeDelayed(topic, id);
  if (delayed !== undefined) {
    topic.append(delayed.job, delayed.history, delayed.deliveries);
    return 'promoted';
  }
  const entry = entryOf(topic, id);
  if (entry === undefined) return 'not-found';
  return entry.owner === undefined ? 'waiting' : 'running';
}

function entryOf({ entries }: OperatedTopic, id: string): Entry | undefined {
  for (const entry of entries.values()) if (entry.job.id === id) return entry;
  return undefined;
}

function removeDelayed(topic: OperatedTopic, id: string): DelayedJob | undefined {
  const found = topic.delayed.find(({ job }) => job.id === id);
  if (found !== undefined) topic.delayed = topic.delayed.filter((other) => other !== found);
  return found;
}
