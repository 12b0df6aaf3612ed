import { expect } from '@jest/globals';
import holdfast from '@holdfast/database/pg';
import { settlesWithin, sleep, systemClock } from '@holdfast/foundation';
import pg, { Pool as PgPool, type PoolConfig } from 'pg';
import { keepCalling, percentile } from '../callers.ts';
import { type PostgresFixture, untilTrue } from '../postgres-fixture.ts';
import type { DatabaseOutcome } from '../scenario.ts';
import { CREATE_PIECES, type OpenSession, type PoolUnderTest } from './library-session.ts';

export const CALLERS = 4;
export const DOWNTIME_MS = 500;
const CALLS_BEFORE = 40;
const CALLS_AFTER = 40;
const CLOSE_MS = 10_000;
const END_MS = 1_000;

interface OutageResult {
  readonly calls: number;
  readonly acknowledged: readonly number[];
  readonly done: readonly number[];
  readonly failures: readonly unknown[];
  readonly note: string;
}

/** Works with the library while Postgres is killed and started again, once on each pool. */
export async function runLibraryOutage(
  fixture: PostgresFixture,
  open: OpenSession,
): Promise<DatabaseOutcome> {
  await fixture.ask(CREATE_PIECES);
  const peer = await runOutage(fixture, open, pg, 'pg.Pool', 0);
  const own = await runOutage(fixture, open, holdfast, 'this pool', peer.calls);
  // What was under way at the kill has failed, and nothing else.
  expect(own.failures.length).toBeLessThanOrEqual(CALLERS);
  const times = new Map<number, number>();
  for (const number of own.done) times.set(number, (times.get(number) ?? 0) + 1);
  const found = own.acknowledged.filter((number) => times.has(number)).length;
  return {
    accepted: own.acknowledged.length,
    delivered: found,
    duplicated: [...times.values()].filter((count) => count > 1).length,
    note: `${own.note}; ${peer.note}`,
  };
}

async function runOutage(
  fixture: PostgresFixture,
  open: OpenSession,
  driver: Pick<typeof pg, 'Pool'>,
  name: string,
  firstNumber: number,
): Promise<OutageResult> {
  const { url } = fixture.primary;
  const pool = new driver.Pool({ connectionString: url });
  if (driver === pg) survive(pool);
  const session = await open({ driver: driver === pg ? surviving : driver, pool, url });
  const acknowledged: number[] = [];
  let number = firstNumber;
  const callers = keepCalling(CALLERS, async () => {
    const own = (number += 1);
    await session.work(own);
    acknowledged.push(own);
  });
  await untilTrue(() => acknowledged.length >= CALLS_BEFORE);
  await fixture.primary.kill();
  await sleep(systemClock, DOWNTIME_MS);
  const beforeReturn = acknowledged.length;
  await fixture.primary.start();
  await untilTrue(() => acknowledged.length >= beforeReturn + CALLS_AFTER);
  const { calls, failures, slowestMs } = await callers.stop();
  await untilTrue(async () => includesAll(await session.done(fixture.ask), acknowledged)).catch(
    () => undefined,
  );
  const done = await session.done(fixture.ask);
  // A library that waits for what its connection took with it may wait for ever.
  await settlesWithin(systemClock, CLOSE_MS, session.close());
  // Clients that a library lost with their connection keep pg's pool from its end for ever.
  if (!pool.ended) await settlesWithin(systemClock, END_MS, pool.end());
  const latency = latencyNote(session.latenciesMs);
  const note = `${name}: ${failures.length} of ${calls} calls failed, slowest ${Math.round(slowestMs)} ms${latency}`;
  return { calls, acknowledged, done, failures, note };
}

function includesAll(all: readonly number[], some: readonly number[]): boolean {
  const set = new Set(all);
  return some.every((number) => set.has(number));
}

function latencyNote(latenciesMs: readonly number[] | undefined): string {
  if (latenciesMs === undefined || latenciesMs.length === 0) return '';
  const [half, most] = [0.5, 0.99].map((part) => Math.round(percentile([...latenciesMs], part)));
  return `, job latency ${half} ms (p99 ${most} ms)`;
}

/** Without listeners an error of an idle or a leased client of pg's pool would end the process. */
function survive(pool: PgPool): void {
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
}

class SurvivingPool extends PgPool {
  constructor(config?: PoolConfig) {
    super(config);
    survive(this);
  }
}

const surviving: PoolUnderTest['driver'] = { ...pg, Pool: SurvivingPool };
