import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { isPart } from '../../../src/database/scenario.ts';
import {
  type PostgresFixture,
  openPostgresFixture,
} from '../../../src/database/postgres-fixture.ts';

let fixture: PostgresFixture;
beforeAll(async () => {
  fixture = await openPostgresFixture();
});
afterAll(() => fixture.close());

const CHECK_MS = 500;

// A partial run is in containers, whose processes are not this machine's to signal.
const onLocalProcesses = isPart ? describe.skip : describe;

onLocalProcesses('sessions that are frozen', () => {
  test.each([1, 10, 40])(
    'when those of %i idle connections are, callers are served within two checks',
    async (count) => {
      const database = fixture.database({
        max: count,
        // Each connection is checked before it is used.
        validateAfterIdleMs: 0,
        acquireTimeoutMs: 10_000,
        queryTimeoutMs: 10_000,
      });
      const leases = await Promise.all(Array.from({ length: count }, () => database.acquire()));
      const pids = await Promise.all(
        leases.map(async (lease) => {
          const { rows } = await lease.query<{ pid: number }>('select pg_backend_pid() as pid');
          return rows[0]?.pid ?? 0;
        }),
      );
      for (const lease of leases) lease.release();
      expect(new Set(pids).size).toBe(count);
      try {
        // As behind a NAT that has forgotten the connections: nothing is refused, and nothing comes back.
        for (const pid of pids) process.kill(pid, 'SIGSTOP');
        const beganMs = systemClock.now();
        await database.query('select 1');
        const firstMs = systemClock.now() - beganMs;
        await Promise.all(Array.from({ length: count }, () => database.query('select 1')));
        const allMs = systemClock.now() - beganMs;
        expect(firstMs).toBeLessThan(2 * CHECK_MS);
        expect(allMs).toBeLessThan(3 * CHECK_MS);
      } finally {
        for (const pid of pids) process.kill(pid, 'SIGCONT');
        await database.close();
      }
    },
  );
});
