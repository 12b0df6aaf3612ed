/** The most jobs, and the most characters of payload, in one write to Redis or to the journal. */
export const MAX_BATCH_JOBS = 500;
export const MAX_BATCH_CHARACTERS = 262_144;

/** Splits the jobs into batches of at most `MAX_BATCH_JOBS` and `MAX_BATCH_CHARACTERS`, in the same order. */
export function inBatches<J extends { readonly payload: string }>(jobs: readonly J[]): J[][] {
  const batches: J[][] = [];
  let batch: J[] = [];
  let characters = 0;
  for (const job of jobs) {
    characters += job.payload.length;
    const isFull = batch.length === MAX_BATCH_JOBS || characters > MAX_BATCH_CHARACTERS;
    if (isFull && batch.length > 0) {
      batches.push(batch);
      batch = [];
      characters = job.payload.length;
    }
    batch.push(job);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
