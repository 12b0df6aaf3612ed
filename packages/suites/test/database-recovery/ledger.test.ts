import { expect } from '@jest/globals';
import { openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { WRITERS, runKills } from '../../src/database/kills.ts';
import { scenario, withinMsOf } from '../../src/database/scenario.ts';

/** Killing and starting a container takes several times as long. */
const FEWER = process.env['HOLDFAST_STAGE'] === 'docker' ? 10 : 25;
const KILLS = Number(process.env['HOLDFAST_KILLS'] ?? FEWER);

scenario(
  {
    promise: 'an acknowledged write is applied exactly once, however often Postgres is killed',
    fault: `${KILLS} kills at random moments under ${WRITERS} writers`,
    inContainers: true,
    withinMs: withinMsOf(KILLS, 2000),
  },
  openPostgresFixture,
  async (fixture) => {
    const outcome = await runKills(fixture, KILLS);
    // Otherwise no write ran between the kills.
    expect(outcome.accepted).toBeGreaterThan(KILLS);
    return outcome;
  },
);
