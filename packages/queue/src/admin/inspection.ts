import { integer, parseOptions } from '@holdfast/foundation';
import type { PeekedJob, QueueBackend } from '../backend.ts';
import type { Inspection, InspectedJob } from '../queue.ts';

const shape = { limit: integer({ min: 1, max: 1_000, default: 20 }) };

/** Counts and shows the jobs of a topic without removing any. */
export function inspectionOf(
  backend: QueueBackend,
  topic: string,
  /** @throws QueueClosedError */
  assertOpen: (tried: string) => void,
): Inspection {
  return {
    async counts() {
      assertOpen('counts');
      return backend.count(topic);
    },
    async peek(kind, options) {
      const { limit } = parseOptions('inspect', shape, options);
      assertOpen('peek');
      const jobs = await backend.peek(topic, kind, limit);
      return jobs.slice(0, limit).map(toInspectedJob);
    },
  };
}

function toInspectedJob({
  id,
  payload,
  enqueuedAtMs,
  deliveries,
  dueAtMs,
  routing,
}: PeekedJob): InspectedJob {
  const parsed: unknown = JSON.parse(payload);
  const isLevel = routing === 'high' || routing === 'low';
  return {
    id,
    payload: parsed,
    enqueuedAtMs,
    attempts: deliveries,
    ...(dueAtMs !== undefined && { dueAtMs }),
    ...(isLevel && { priority: routing }),
  };
}
