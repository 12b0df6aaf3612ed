import type { Storage } from '@holdfast/storage';
import { type Random, nextEvent, seededRandom, sleep, systemClock } from '@holdfast/foundation';
import type { Moment } from '@holdfast/report';
import type { ScenarioOutcome } from '../scenario.ts';
import type { StorageFixture, StorageFixtureOptions } from './storage-fixture.ts';
import { ObjectLedger, compareBackends } from './object-ledger.ts';

interface ObjectOutageSpec {
  /** Injects the fault. */
  readonly inject: (fixture: StorageFixture, storage: Storage) => Promise<void> | void;
  /** How long it lasts, in milliseconds. */
  readonly lastsMs: number;
  readonly recover: (fixture: StorageFixture) => Promise<void> | void;
  /** The backend that is expected to leave `up`; without it neither is. */
  readonly notices?: 'supabase' | 's3';
  readonly storage?: StorageFixtureOptions;
  /** Checks the storage during the fault. */
  readonly during?: (storage: Storage) => Promise<void> | void;
  /** Checks it when both servers have every write. */
  readonly after?: (storage: Storage, ledger: ObjectLedger) => void;
}

const SEED = 7;
const KEYS = 60;
const TICK_MS = 20;
const WRITES_AROUND = 20;
const FLUSH_WITHIN_MS = 60_000;

/**
 * Runs one outage under a steady load of writes, overwrites and removals: before, during and after it.
 * Afterwards each server must have the last accepted write of each key.
 */
export async function runObjectOutage(
  fixture: StorageFixture,
  options: ObjectOutageSpec,
): Promise<ScenarioOutcome> {
  const storage = await fixture.storage(options.storage);
  await storage.ready();
  const ledger = new ObjectLedger();
  const watched = recordStorageTimeline(storage);
  const load = offerObjects(storage, ledger, seededRandom(SEED));
  await load.offered(WRITES_AROUND);

  const noticed =
    options.notices === undefined
      ? undefined
      : nextEvent(storage, 'backend', {
          matches: ({ backend, to }) => backend === options.notices && to !== 'up',
        });
  const faultAtMs = systemClock.now();
  await options.inject(fixture, storage);
  const detectedAtMs = (await noticed)?.atMs;
  await sleep(systemClock, Math.max(0, faultAtMs + options.lastsMs - systemClock.now()));
  await options.during?.(storage);

  const back =
    options.notices === undefined
      ? undefined
      : nextEvent(storage, 'backend', {
          matches: ({ backend, from, to }) =>
            backend === options.notices &&
            (from === 'down' || from === 'denied') &&
            (to === 'recovering' || to === 'up'),
        });
  await options.recover(fixture);
  const recoveredAtMs = systemClock.now();
  const backAtMs = (await back)?.atMs;
  await load.offered(WRITES_AROUND);
  const { refused } = await load.stop();
  if (refused.length > 0) throw refused[0];
  const left = await storage.flush({ deadlineMs: FLUSH_WITHIN_MS });
  if (left > 0) throw new Error(`${left} writes were not delivered in ${FLUSH_WITHIN_MS} ms`);
  options.after?.(storage, ledger);
  const verdict = await compareBackends(ledger, [fixture.supabase.direct, fixture.s3.direct]);
  return {
    verdict,
    lastedMs: recoveredAtMs - faultAtMs,
    ...(detectedAtMs !== undefined && { detectedAfterMs: detectedAtMs - faultAtMs }),
    ...(backAtMs !== undefined && { recoveredAfterMs: Math.max(0, backAtMs - recoveredAtMs) }),
    timeline: watched.map(({ atMs, event }) => ({ atMs: atMs - faultAtMs, event })),
  };
}

interface ObjectLoad {
  /** Resolves when that many more writes have been offered. */
  offered(more: number): Promise<void>;
  /** Stops the load; resolves once each offered write was accepted or rejected. */
  stop(): Promise<{ refused: readonly unknown[]; acceptedWithin: AcceptanceTimes }>;
}

/** How long callers waited for an acceptance, in milliseconds. */
interface AcceptanceTimes {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

/** Offers a write in each tick, without waiting for earlier ones. */
export function offerObjects(storage: Storage, ledger: ObjectLedger, random: Random): ObjectLoad {
  const stopping = new AbortController();
  const refused: unknown[] = [];
  const calls: Promise<void>[] = [];
  const waitedMs: number[] = [];
  let wake: () => void = () => undefined;

  const offer = async (): Promise<void> => {
    const key = `k${Math.floor(random() * KEYS)}`;
    const text = random() < 0.1 ? undefined : `${calls.length} ${'x'.repeat(random() * 500)}`;
    const accepted = ledger.offered(key, text);
    const startedMs = systemClock.now();
    try {
      await (text === undefined ? storage.remove(key) : storage.upload(key, text));
      accepted();
      waitedMs.push(systemClock.now() - startedMs);
    } catch (error) {
      refused.push(error);
    }
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      calls.push(offer());
      wake();
      await sleep(systemClock, TICK_MS, stopping.signal).catch(() => undefined);
    }
  };
  const running = run();
  return {
    async offered(more) {
      const until = calls.length + more;
      while (calls.length < until) await new Promise<void>((resolve) => (wake = resolve));
    },
    async stop() {
      stopping.abort();
      await running;
      await Promise.all(calls);
      return { refused, acceptedWithin: timesOf(waitedMs) };
    },
  };
}

/** The median, the 99th percentile and the maximum of the waits. */
export function timesOf(waitedMs: readonly number[]): AcceptanceTimes {
  const sorted = waitedMs.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99), slowestMs: at(1) };
}

const MAX_MOMENTS = 100;

/** Records the events of a storage with their times. */
function recordStorageTimeline(storage: Storage): Moment[] {
  const seen: Moment[] = [];
  const note = (atMs: number, event: string): void => {
    if (seen.length < MAX_MOMENTS) seen.push({ atMs, event });
  };
  storage.on('backend', ({ backend, to, error, atMs }) =>
    note(atMs, `${backend} ${to}${error === undefined ? '' : `: ${error}`}`),
  );
  storage.on('late-write', ({ backend, path, atMs }) =>
    note(atMs, `late write of ${path} on ${backend}`),
  );
  storage.on('conflict', ({ path, resolution, atMs }) =>
    note(atMs, `conflict of ${path}: ${resolution}`),
  );
  return seen;
}
