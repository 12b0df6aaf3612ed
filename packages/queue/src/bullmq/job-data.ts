import type { PublishedJob } from '../backend.ts';

/** The data of a BullMQ job: the queue's own job. */
export interface JobData {
  readonly id: string;
  readonly payload: string;
  readonly enqueuedAtMs: number;
  readonly routing?: string;
  readonly history?: readonly string[];
}

export function toJobData({ id, payload, enqueuedAtMs, routing }: PublishedJob): JobData {
  return { id, payload, enqueuedAtMs, ...(routing !== undefined && { routing }) };
}

/** The data of a job; without a stored history it is empty. */
export function parseJobData({
  history = [],
  ...data
}: JobData): Omit<JobData, 'history'> & { history: readonly string[] } {
  return { ...data, history };
}
