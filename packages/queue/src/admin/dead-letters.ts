import type { QueueBackend } from '../backend.ts';
import { parseDeadLetterOptions } from '../options.ts';
import { checkJobId } from '../producer/payload.ts';
import type { Submission } from '../state/pending-job.ts';
import { type PoisonStore, deadJobOf } from '../fallback/poison-store.ts';
import type { DeadLetters } from '../queue.ts';

const LISTED = 100;
const REDRIVEN = 1_000;

/** The jobs of a topic whose attempts are used up; the store keeps them. */
export function deadLettersOf(backend: QueueBackend, topic: string): DeadLetters {
  return {
    async list(options) {
      const { limit } = parseDeadLetterOptions(options, LISTED);
      const letters = await backend.deadLetters(topic, limit);
      return letters.map(({ id, payload, enqueuedAtMs, deliveries, reason, history }) => {
        const parsed: unknown = JSON.parse(payload);
        return { id, payload: parsed, enqueuedAtMs, attempts: deliveries, reason, history };
      });
    },
    async redrive({ ids, ...options } = {}) {
      const { limit } = parseDeadLetterOptions(options, REDRIVEN);
      return backend.redrive(
        topic,
        limit,
        ids?.map((id) => checkJobId('redrive', id)),
      );
    },
  };
}

/** The jobs of a topic that the store rejected; the poison store keeps them. */
export function poisonJobsOf(
  topic: string,
  opened: () => Promise<{
    readonly poison: PoisonStore;
    readonly submit: (submission: Submission) => Promise<unknown>;
  }>,
): DeadLetters {
  return {
    async list(options) {
      const { limit } = parseDeadLetterOptions(options, LISTED);
      const { poison } = await opened();
      return poison
        .of(topic)
        .slice(0, limit)
        .map(({ job }) => deadJobOf(job));
    },
    async redrive({ ids, ...options } = {}) {
      const { limit } = parseDeadLetterOptions(options, REDRIVEN);
      const wanted = ids?.map((id) => checkJobId('redrive', id));
      const { poison, submit } = await opened();
      const chosen = poison
        .of(topic)
        .filter(({ job }) => wanted?.includes(job.id) ?? true)
        .slice(0, limit);
      for (const { sequence, job } of chosen) {
        // Its unique id prevents a second job when this process ends before the next line.
        await submit({ ...job, unique: true });
        await poison.remove(sequence);
      }
      return chosen.length;
    },
  };
}
