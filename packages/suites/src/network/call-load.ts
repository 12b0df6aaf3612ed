import type { FaultProxy } from '@holdfast/faults';
import { sleep, systemClock } from '@holdfast/foundation';

const CALLS_PER_SECOND = 150;
const OFFERED_EVERY_MS = 5;
const FLAP_MS = 150;

/** What became of calls. */
interface CallPhase {
  readonly calls: number;
  readonly failures: readonly unknown[];
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Offers calls at a steady rate, whatever becomes of earlier ones. */
export async function offerCalls(
  call: () => Promise<unknown>,
  lastsMs: number,
): Promise<CallPhase> {
  const latenciesMs: number[] = [];
  const failures: unknown[] = [];
  const running: Promise<void>[] = [];
  const one = async (): Promise<void> => {
    const beganMs = systemClock.now();
    await call().catch((error: unknown) => void failures.push(error));
    latenciesMs.push(systemClock.now() - beganMs);
  };
  const startedMs = systemClock.now();
  while (systemClock.now() - startedMs < lastsMs) {
    const due = ((systemClock.now() - startedMs) / 1_000) * CALLS_PER_SECOND;
    while (running.length < due) running.push(one());
    await sleep(systemClock, OFFERED_EVERY_MS);
  }
  await Promise.all(running);
  const sorted = latenciesMs.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
  return { calls: sorted.length, failures, p95Ms: at(0.95), p99Ms: at(0.99) };
}

/** Takes a link away for 150 ms of each 300, until the returned function is called. */
export function flapLink(link: FaultProxy): () => Promise<void> {
  const stopping = new AbortController();
  const flap = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      link.faults.set('down');
      await sleep(systemClock, FLAP_MS);
      void link.heal();
      await sleep(systemClock, FLAP_MS);
    }
  };
  const flapping = flap();
  return async () => {
    stopping.abort();
    await flapping;
  };
}
