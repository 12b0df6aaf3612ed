import type { DeadJob, InspectedJob, Queue, TopicCounts } from '@holdfast/queue';

/** What is in a topic. */
interface TopicInspection {
  readonly counts: TopicCounts;
  readonly paused: boolean;
  readonly waiting: readonly InspectedJob[];
  readonly running: readonly InspectedJob[];
  readonly delayed: readonly InspectedJob[];
  readonly dead: readonly DeadJob[];
}

/** The longest payload or reason in one line. */
const MAX_SHOWN = 60;

/** Counts the jobs of a topic, and lists up to `limit` of each state. */
export async function inspectTopic(
  queue: Queue,
  topic: string,
  limit: number,
): Promise<TopicInspection> {
  const inspection = queue.inspect(topic);
  const [counts, paused, waiting, running, delayed, dead] = await Promise.all([
    inspection.counts(),
    queue.isPaused(topic),
    inspection.peek('waiting', { limit }),
    inspection.peek('pending', { limit }),
    inspection.peek('delayed', { limit }),
    queue.deadLetters(topic).list({ limit }),
  ]);
  return { counts, paused, waiting, running, delayed, dead };
}

/** A line of numbers, and one for each job. */
export function describeInspection(seen: TopicInspection): string {
  const { counts, paused } = seen;
  const { waiting, pending, delayed, dead } = counts;
  const numbers = `waiting ${waiting}, running ${pending}, delayed ${delayed}, dead ${dead}`;
  const lines = [paused ? `${numbers}, paused` : numbers];
  for (const state of ['waiting', 'running', 'delayed'] as const) {
    for (const job of seen[state]) lines.push(lineOf(state, job));
  }
  for (const job of seen.dead) lines.push(`${lineOf('dead', job)}  ${shown(job.reason)}`);
  return lines.join('\n');
}

function lineOf(
  state: string,
  { id, payload }: { readonly id: string; readonly payload: unknown },
): string {
  return `${state.padEnd(8)}${id}  ${shown(JSON.stringify(payload))}`;
}

/** Without characters that would write over other lines. */
function shown(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
  return line.length <= MAX_SHOWN ? line : `${line.slice(0, MAX_SHOWN - 1).toWellFormed()}…`;
}
