import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { Pool } from '@holdfast/database/pg';
import { type ServerHandle, type Stage, openStage } from '@holdfast/stage';

export type Config = Record<string, unknown>;

interface PoolStage {
  /** The server that all tests of the file share. */
  readonly server: ServerHandle;
  /** A pool on it, which ends after the test. Options may be what the types of pg do not permit. */
  open(config?: Config, more?: Config): Pool;
}

const END_MS = 2_000;

/** A Postgres for the tests of one file. */
export function usePoolStage(): PoolStage {
  let stage: Stage<{ mode: 'local'; postgres: true; link: false }>;
  const pools: Pool[] = [];
  beforeAll(async () => {
    stage = await openStage({ mode: 'local', postgres: true, link: false });
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.holdfast.close({ deadlineMs: END_MS })));
  });
  afterAll(() => stage.close());
  return {
    get server() {
      return stage.postgres.primary;
    },
    open(config = {}, more = {}) {
      const pool = openPool({ connectionString: stage.postgres.primary.url, ...config }, more);
      pools.push(pool);
      return pool;
    },
  };
}

/** A pool with options of any type. */
export function openPool(config: Config, more: Config = {}): Pool {
  return Reflect.construct(Pool, [config, more]);
}

/** Resolves with the arguments of the next event. */
export function nextOf(
  emitter: { once(event: string, listener: (...given: unknown[]) => void): unknown },
  event: string,
): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(event, (...given) => resolve(given)));
}
