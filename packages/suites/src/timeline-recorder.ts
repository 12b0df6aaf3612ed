import type { Queue } from '@holdfast/queue';
import type { LoadSample, Moment } from '@holdfast/report';

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

/** What a report takes. */
const MAX_SAMPLES = 600;
const FIRST_WIDTH_MS = 100;

/** Counts offered and refused work over time. A long load has wider samples, not more of them. */
export class LoadSamples {
  readonly #startedMs: number;
  #widthMs = FIRST_WIDTH_MS;
  #counts: { offered: number; errors: number }[] = [];

  constructor(startedMs: number) {
    this.#startedMs = startedMs;
  }

  note(atMs: number, what: 'offered' | 'errors'): void {
    while (this.#indexOf(atMs) >= MAX_SAMPLES) this.#widen();
    const index = this.#indexOf(atMs);
    while (this.#counts.length <= index) this.#counts.push({ offered: 0, errors: 0 });
    const counts = this.#counts[index];
    if (counts !== undefined) counts[what] += 1;
  }

  /** The samples with their times relative to `originMs`. */
  since(originMs: number): LoadSample[] {
    return this.#counts.map((counts, index) => ({
      atMs: this.#startedMs + (index + 1) * this.#widthMs - originMs,
      ...counts,
    }));
  }

  #indexOf(atMs: number): number {
    return Math.max(0, Math.floor((atMs - this.#startedMs) / this.#widthMs));
  }

  #widen(): void {
    this.#widthMs *= 2;
    this.#counts = this.#counts
      .filter((_, index) => index % 2 === 0)
      .map(({ offered, errors }, index) => {
        const next = this.#counts[2 * index + 1];
        return {
          offered: offered + (next?.offered ?? 0),
          errors: errors + (next?.errors ?? 0),
        };
      });
  }
}
