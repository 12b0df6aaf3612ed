import { expect } from '@jest/globals';
import { openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { WRITERS, runKills } from '../../src/database/kills.ts';
import { scenario, withinMsOf } from '../../src/database/scenario.ts';

/** A container takes several times as long to be killed and started. */
const FEWER = process.env['HOLDFAST_STAGE'] === 'docker' ? 10 : 25;
const KILLS = Number(process.env['HOLDFAST_KILLS'] ?? FEWER);

scenario(
  {
    promise:
      'a write that was acknowledged is there exactly once, however often Postgres is killed',
    fault: `${KILLS} kills at random moments under ${WRITERS} writers`,
    inContainers: true,
    withinMs: withinMsOf(KILLS, 2000),
  },
  openPostgresFixture,
  async (ground) => {
    const outcome = await runKills(ground, KILLS);
    // Otherwise nothing was written between the kills.
    expect(outcome.accepted).toBeGreaterThan(KILLS);
    return outcome;
  },
);
