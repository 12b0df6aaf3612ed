import type { PublishedJob } from '../backend.ts';

/** A job of ours within one of BullMQ's. */
export interface JobData {
  readonly id: string;
  readonly payload: string;
  readonly enqueuedAtMs: number;
  readonly routing?: string;
  readonly history?: readonly string[];
}

export function dataOf({ id, payload, enqueuedAtMs, routing }: PublishedJob): JobData {
  return { id, payload, enqueuedAtMs, ...(routing !== undefined && { routing }) };
}

/** What a job holds, with the reasons of its earlier failures. */
export function readData({
  history = [],
  ...data
}: JobData): Omit<JobData, 'history'> & { history: readonly string[] } {
  return { ...data, history };
}
