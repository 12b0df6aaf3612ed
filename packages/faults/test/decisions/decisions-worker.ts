/** Plays one of the plays in a thread of its own, and tells what was decided. */
import { parentPort, workerData } from 'node:worker_threads';
import { plays } from './decision-runs.ts';

const { mode, seed }: { mode: string; seed: number } = workerData;
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
parentPort?.postMessage(await plays[mode]?.(seed));
