/** Measures kill -9, a pause and a start: how many calls fail, and when every caller is served again. */
import { setTimeout as pause } from 'node:timers/promises';

const CALLERS = 20;
const DOWN_MS = 1_000;
const WATCHED_MS = 4_000;

export interface Recovery {
  readonly name: string;
  readonly failed: number;
  /** The time until each caller's first success after the server accepts again, sorted. */
  readonly servedMs: readonly number[];
}

/** A server that can be killed and started. */
interface Server {
  kill(): Promise<unknown>;
  start(): Promise<unknown>;
}

export async function recovery(
  server: Server,
  name: string,
  query: () => Promise<unknown>,
): Promise<Recovery> {
  let failed = 0;
  let acceptedMs = Infinity;
  const stop = new AbortController();
  const servedMs: number[] = [];
  const caller = async (): Promise<void> => {
    let isServed = false;
    while (!stop.signal.aborted) {
      try {
        await query();
        if (!isServed && performance.now() >= acceptedMs) {
          isServed = true;
          servedMs.push(performance.now() - acceptedMs);
        }
      } catch {
        failed += 1;
      }
      await pause(10);
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  await pause(300);
  await server.kill();
  await pause(DOWN_MS);
  await server.start();
  acceptedMs = performance.now();
  await pause(WATCHED_MS);
  stop.abort();
  await Promise.race([Promise.all(callers), pause(1_000)]);
  return { name, failed, servedMs: servedMs.toSorted((left, right) => left - right) };
}

export function recoveryTable(recoveries: readonly Recovery[]): string {
  const rows = recoveries.map(({ name, failed, servedMs }) => {
    const at = (share: number): string =>
      `${Math.round(servedMs[Math.ceil(share * servedMs.length) - 1] ?? Number.NaN)} ms`;
    const stuck = CALLERS - servedMs.length;
    return `| ${name} | ${failed} | ${at(0.5)} | ${at(1)} | ${stuck} |`;
  });
  return [
    `| kill -9, ${DOWN_MS} ms down, ${CALLERS} callers | failed calls | half served | all served | stuck ${WATCHED_MS} ms later |`,
    '|---|---:|---:|---:|---:|',
    ...rows,
    '',
  ].join('\n');
}
