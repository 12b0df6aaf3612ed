import type { Queue } from '@holdfast/queue';
import type { Moment } from '@holdfast/report';

const MAX_MOMENTS = 100;

/** Records the events of a queue for the timeline of a scenario. */
export function recordTimeline(queue: Queue): { momentsSince(originMs: number): Moment[] } {
  const seen: Moment[] = [];
  const note = (atMs: number, event: string): void => {
    if (seen.length < MAX_MOMENTS) seen.push({ atMs, event });
  };
  queue.on('state', ({ to, errorClass, atMs }) =>
    note(atMs, errorClass === undefined ? to : `${to}: ${errorClass}`),
  );
  queue.on('connected', ({ atMs }) => note(atMs, 'connected'));
  queue.on('drained', ({ jobs, atMs }) => note(atMs, `${jobs} jobs drained`));
  queue.on('server-lost-jobs', ({ jobs, atMs }) => note(atMs, `Redis forgot ${jobs} jobs`));
  return {
    momentsSince: (originMs) =>
      seen
        .map(({ atMs, event }) => ({ atMs: atMs - originMs, event }))
        .filter(({ atMs }) => atMs >= 0),
  };
}
