import { expect } from '@jest/globals';
import { openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { runKills } from '../../src/database/kills.ts';
import { DOWNTIME_MS, CALLERS, runDatabaseOutage } from '../../src/database/outage.ts';
import { openSynchronous, runPromotion } from '../../src/database/promotion.ts';
import { scenario } from '../../src/database/scenario.ts';

/** The newest version that the stage provides, whatever version the other scenarios use. */
const NEWEST = { version: 18 };
const KILLS = 5;

scenario(
  {
    promise: 'no idempotent call fails when Postgres 18 is killed under load',
    fault: `kill -9, start after ${DOWNTIME_MS} ms, ${CALLERS} callers`,
  },
  () => openPostgresFixture(NEWEST),
  (fixture) =>
    runDatabaseOutage(fixture, {
      inject: ({ primary }) => primary.kill(),
      recover: ({ primary }) => primary.start(),
    }),
);

scenario(
  {
    promise:
      'a write that Postgres 18 has acknowledged is applied exactly once, however often it is killed',
    fault: `${KILLS} kills at random moments`,
  },
  () => openPostgresFixture(NEWEST),
  async (fixture) => {
    const [row] = await fixture.ask('show server_version');
    expect(row?.['server_version']).toMatch(/^18\./);
    return runKills(fixture, KILLS);
  },
);

scenario(
  {
    promise: 'after the promotion of a Postgres 18 the old primary receives no writes',
    fault:
      'the primary killed, the replica promoted, the old primary restarted as a primary; the service restarted without the new primary',
  },
  () => openSynchronous(NEWEST),
  runPromotion,
);
