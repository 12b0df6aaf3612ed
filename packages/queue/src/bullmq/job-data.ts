import type { Job } from 'bullmq';
import type { PublishedJob } from '../backend.ts';

/** The data of a BullMQ job: the queue's own job. */
export interface JobData {
  readonly id: string;
  readonly payload: string;
  readonly enqueuedAtMs: number;
  readonly routing?: string;
  readonly attributes?: string;
  readonly expiresInMs?: number;
  readonly history?: readonly string[];
  /** What is known of earlier deliveries; BullMQ's own counter counts those that were handed back, too. */
  readonly counted?: CountedDeliveries;
}

/** The deliveries that count, and how often consumers had died with the job by then. */
interface CountedDeliveries {
  readonly deliveries: number;
  readonly stalls: number;
}

export function toJobData({
  id,
  payload,
  enqueuedAtMs,
  routing,
  attributes,
  expiresInMs,
}: PublishedJob): JobData {
  return { id, payload, enqueuedAtMs, ...optionalOf({ routing, attributes, expiresInMs }) };
}

/** The fields that few jobs have. */
type OptionalData = Pick<JobData, 'routing' | 'attributes' | 'expiresInMs'>;

function optionalOf({
  routing,
  attributes,
  expiresInMs,
}: { readonly [Key in keyof OptionalData]: OptionalData[Key] | undefined }): OptionalData {
  return {
    ...(routing !== undefined && { routing }),
    ...(attributes !== undefined && { attributes }),
    ...(expiresInMs !== undefined && { expiresInMs }),
  };
}

/** The data of a job; without a stored history it is empty. */
export function parseJobData({
  id,
  payload,
  enqueuedAtMs,
  routing,
  attributes,
  expiresInMs,
  history = [],
}: JobData): Omit<JobData, 'history' | 'counted'> & { history: readonly string[] } {
  const optional = optionalOf({ routing, attributes, expiresInMs });
  return { id, payload, enqueuedAtMs, ...optional, history };
}

/** The deliveries that ended: with a failure, or with the consumer. */
export function deliveriesMade({ data, stalledCounter }: Job<JobData>): number {
  const { deliveries, stalls } = data.counted ?? { deliveries: 0, stalls: 0 };
  return deliveries + stalledCounter - stalls;
}

/** The data with this number of deliveries made. */
export function counting(deliveries: number, { data, stalledCounter }: Job<JobData>): JobData {
  return { ...data, counted: { deliveries, stalls: stalledCounter } };
}
