import { expect } from '@jest/globals';
import { openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { runKills } from '../../src/database/kills.ts';
import { AWAY_MS, CALLERS, runDatabaseOutage } from '../../src/database/outage.ts';
import { openSynchronous, runPromotion } from '../../src/database/promotion.ts';
import { scenario } from '../../src/database/scenario.ts';

/** The newest one that the stage brings along, whichever the other scenarios stand on. */
const NEWEST = { version: 18 };
const KILLS = 5;

scenario(
  {
    promise: 'a Postgres 18 killed under load costs no idempotent call an error',
    fault: `kill -9, start after ${AWAY_MS} ms, ${CALLERS} callers`,
  },
  () => openPostgresFixture(NEWEST),
  (ground) =>
    runDatabaseOutage(ground, {
      inject: ({ primary }) => primary.kill(),
      recover: ({ primary }) => primary.start(),
    }),
);

scenario(
  {
    promise: 'a write that Postgres 18 has acknowledged is there exactly once after every kill',
    fault: `${KILLS} kills at random moments`,
  },
  () => openPostgresFixture(NEWEST),
  async (ground) => {
    const [row] = await ground.ask('show server_version');
    expect(row?.['server_version']).toMatch(/^18\./);
    return runKills(ground, KILLS);
  },
);

scenario(
  {
    promise: 'after the promotion of a Postgres 18 the old primary takes no write any more',
    fault:
      'the primary is killed, the replica promoted, the old primary started again as one; then the service, without the new one',
  },
  () => openSynchronous(NEWEST),
  runPromotion,
);
