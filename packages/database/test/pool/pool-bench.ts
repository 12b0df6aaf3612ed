import { createEmitter, CallDeadline, type Emitter, seededRandom } from '@holdfast/foundation';
import { createFakeClock, type FakeClock } from '@holdfast/foundation/testing';
import { type DatabaseEvents, databaseEventKinds } from '../../src/events.ts';
import { HostPool } from '../../src/pool/host-pool.ts';
import type { HostPoolOptions } from '../../src/pool/host-pool-deps.ts';
import type { IdlePolicy } from '../../src/pool/idle-sweeper.ts';
import type { PooledConnection } from '../../src/pool/pooled-connection.ts';
import { ScriptedConnector } from './scripted-connection.ts';

export interface PoolBench {
  readonly pool: HostPool;
  readonly clock: FakeClock;
  readonly connector: ScriptedConnector;
  readonly events: Emitter<DatabaseEvents>;
  readonly take: (timeoutMs?: number, signal?: AbortSignal) => Promise<PooledConnection>;
}

/** A pool on scripted connections and a fake clock. */
export function openPool(changes: Partial<HostPoolOptions> = {}, policy?: IdlePolicy): PoolBench {
  const clock = createFakeClock();
  const connector = new ScriptedConnector();
  const options: HostPoolOptions = {
    max: 2,
    maxWaiting: 100,
    acquireTimeoutMs: 1_000,
    cancelGraceMs: 500,
    validateAfterIdleMs: 1_000,
    validationTimeoutMs: 500,
    idleTimeoutMs: 60_000,
    maxLifetimeMs: 1_800_000,
    resetOnRelease: false,
    reconnect: { initialDelayMs: 20, maxDelayMs: 200 },
    clock,
    random: seededRandom(7),
    ...changes,
  };
  const events = createEmitter<DatabaseEvents>('test:database', databaseEventKinds);
  const pool = new HostPool({
    name: 'db:5432',
    connect: connector.connect,
    options,
    policy,
    events,
  });
  const take = async (timeoutMs = 100_000, signal?: AbortSignal): Promise<PooledConnection> => {
    const deadline = new CallDeadline(
      clock,
      timeoutMs,
      signal === undefined ? undefined : [signal],
    );
    try {
      return await pool.acquire(deadline);
    } finally {
      deadline.release();
    }
  };
  return { pool, clock, connector, events, take };
}

/** The state of a promise at this moment. */
export async function fateOf(clock: FakeClock, promise: Promise<unknown>): Promise<string> {
  let fate = 'pending';
  promise.then(
    () => void (fate = 'served'),
    (error: unknown) => void (fate = codeOf(error)),
  );
  await clock.advance(0);
  return fate;
}

export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error
    ? String(error.code)
    : String(error);
}
