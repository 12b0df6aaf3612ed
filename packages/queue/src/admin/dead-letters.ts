import type { DeadLetter, QueueBackend } from '../backend.ts';
import { type PoisonStore, deadJobOf } from '../fallback/poison-store.ts';
import { parseDeadLetterOptions } from '../options.ts';
import { checkJobId } from '../producer/payload.ts';
import type { DeadJob, DeadLetters } from '../queue.ts';
import type { Submission } from '../state/pending-job.ts';

const LISTED = 100;
const REDRIVEN = 1_000;

/** The jobs of a topic whose attempts are used up; the store keeps them. */
export function deadLettersOf(
  backend: QueueBackend,
  topic: string,
  /** @throws QueueClosedError */
  assertOpen: (tried: string) => void,
): DeadLetters {
  return {
    async list(options) {
      const { limit } = parseDeadLetterOptions(options, LISTED);
      assertOpen('list');
      const letters = await backend.deadLetters(topic, limit);
      return letters.map(toDeadJob);
    },
    async redrive(options) {
      const { limit, ids } = parseRedriveOptions(options);
      assertOpen('redrive');
      return backend.redrive(topic, limit, ids);
    },
  };
}

function toDeadJob(letter: DeadLetter): DeadJob {
  const { id, payload, enqueuedAtMs, deliveries, reason, stack, history } = letter;
  const parsed: unknown = JSON.parse(payload);
  const job = { id, payload: parsed, enqueuedAtMs, attempts: deliveries, reason, history };
  return stack === undefined ? job : { ...job, stack };
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
      const jobs = poison.of(topic).slice(0, limit);
      return jobs.map(({ job }) => deadJobOf(job));
    },
    async redrive(options) {
      const { limit, ids } = parseRedriveOptions(options);
      const { poison, submit } = await opened();
      const jobs = poison.of(topic).filter(({ job }) => ids?.includes(job.id) ?? true);
      const chosen = jobs.slice(0, limit);
      for (const { sequence, job } of chosen) {
        // Its unique id prevents a second job when this process ends before the next line.
        await submit({ ...job, unique: true });
        await poison.remove(sequence);
      }
      return chosen.length;
    },
  };
}

function parseRedriveOptions({
  ids,
  ...options
}: { ids?: readonly string[]; limit?: number } = {}): {
  limit: number;
  ids: string[] | undefined;
} {
  const { limit } = parseDeadLetterOptions(options, REDRIVEN);
  return { limit, ids: ids?.map((id) => checkJobId('redrive', id)) };
}
