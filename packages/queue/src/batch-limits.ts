/** The most jobs, and the most characters of payload, in one write to Redis or to the journal. */
export const MAX_BATCH_JOBS = 500;
export const MAX_BATCH_CHARACTERS = 262_144;

/** Splits the jobs into batches of at most `MAX_BATCH_JOBS`, in the same order. */
export function inBatches<J>(jobs: readonly J[]): J[][] {
  const batches: J[][] = [];
  for (let from = 0; from < jobs.length; from += MAX_BATCH_JOBS) {
    batches.push(jobs.slice(from, from + MAX_BATCH_JOBS));
  }
  return batches;
}
