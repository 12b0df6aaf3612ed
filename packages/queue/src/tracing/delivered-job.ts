import type { Delivery } from '../backend.ts';
import type { Job } from '../queue.ts';
import { traceOf } from './trace-attributes.ts';

/** The job that a handler receives. */
export function jobOf(
  { id, enqueuedAtMs, history, attributes }: Delivery,
  topic: string,
  payload: unknown,
  attempt: number,
): Job {
  const trace = attributes === undefined ? undefined : traceOf(attributes);
  const job = { id, topic, payload, attempt, enqueuedAtMs };
  return { ...job, ...(history && { history }), ...(trace && { trace }) };
}
