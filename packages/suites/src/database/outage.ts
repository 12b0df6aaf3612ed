import { expect } from '@jest/globals';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { type CallersResult, keepCalling, percentile } from './callers.ts';
import { type PostgresFixture, untilTrue } from './postgres-fixture.ts';
import type { DatabaseOutcome } from './scenario.ts';

export const CALLERS = 20;
export const DOWNTIME_MS = 500;
/** Calls made before the fault. */
const CALLS_BEFORE = 1_000;
/** Twice what docs/results/database-recovery.md promises: half a second, or a second behind a pooler. */
export const SERVED_WITHIN_MS = 1_000;
export const SERVED_BEHIND_POOLER_WITHIN_MS = 2_000;
/** The most connection attempts that one host's pool may make to a server that is down. */
const ATTEMPTS_PER_SECOND = 10;

interface DatabaseOutageSpec {
  readonly inject: (fixture: PostgresFixture) => Promise<unknown>;
  readonly recover: (fixture: PostgresFixture) => Promise<unknown>;
  readonly lastsMs?: number;
  readonly servedWithinMs?: number;
}

/** Runs idempotent reads through an outage: none fails, and all are served soon after it. */
export async function runDatabaseOutage(
  fixture: PostgresFixture,
  { inject, recover, lastsMs = DOWNTIME_MS, servedWithinMs = SERVED_WITHIN_MS }: DatabaseOutageSpec,
): Promise<DatabaseOutcome> {
  const database = fixture.database({ max: 10, acquireTimeoutMs: 20_000, queryTimeoutMs: 20_000 });
  const callers = keepCalling(CALLERS, () => database.query('select 1', [], { idempotent: true }));
  await untilTrue(() => callers.calls > CALLS_BEFORE);
  const lost = nextEvent(database, 'lost', { signal: AbortSignal.timeout(20_000) });
  let attempts = 0;
  database.on('connect-failed', () => (attempts += 1));
  const faultAtMs = systemClock.now();
  await inject(fixture);
  const { atMs: detectedAtMs } = await lost;
  await sleep(systemClock, Math.max(0, faultAtMs + lastsMs - systemClock.now()));
  const served = callers.servedSince(detectedAtMs);
  await recover(fixture);
  const recoveredAtMs = systemClock.now();
  const waits = (await served).map((atMs) => Math.max(0, atMs - recoveredAtMs));
  const result = await callers.stop();
  expect(result.failures).toEqual([]);
  expect(attempts).toBeLessThanOrEqual(
    ATTEMPTS_PER_SECOND * Math.ceil((recoveredAtMs - faultAtMs) / 1_000),
  );
  expect(Math.max(...waits)).toBeLessThan(servedWithinMs);
  return outcomeOf(result, {
    detectedAfterMs: Math.max(0, detectedAtMs - faultAtMs),
    lastedMs: recoveredAtMs - faultAtMs,
    recoveredAfterMs: Math.max(...waits),
    note: `served after the server accepts: half within ${Math.round(percentile(waits, 0.5))} ms; slowest call ${Math.round(result.slowestMs)} ms; ${attempts} connection attempts during the outage`,
  });
}

function outcomeOf(
  { calls, failures }: CallersResult,
  measured: Omit<DatabaseOutcome, 'accepted' | 'delivered'>,
): DatabaseOutcome {
  return { accepted: calls, delivered: calls - failures.length, ...measured };
}
