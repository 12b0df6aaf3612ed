import { expect } from '@jest/globals';
import {
  type ReplicatedStore,
  createReplicatedStore,
  registerTableSql,
} from '@holdfast/database/replicated';
import { systemClock } from '@holdfast/foundation';
import { type PostgresFixture, openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { scenario } from '../../src/database/scenario.ts';

interface Regions {
  readonly mode: PostgresFixture['mode'];
  readonly fixtures: readonly PostgresFixture[];
  readonly store: ReplicatedStore;
  close(): Promise<void>;
}

const NAMES = ['us-east', 'us-west', 'eu-central'];
const TIMEOUT_MS = 2_000;
const ROUNDS = 30;

async function openRegions(): Promise<Regions> {
  const fixtures = await Promise.all(NAMES.map(() => openPostgresFixture()));
  await Promise.all(fixtures.map(({ ask }) => ask(registerTableSql())));
  const store = createReplicatedStore({
    timeoutMs: TIMEOUT_MS,
    hedgeDelayMs: 100,
    regions: fixtures.map((fixture, index) => ({
      name: NAMES[index] ?? '',
      database: fixture.database({ max: 5, queryTimeoutMs: TIMEOUT_MS }),
    })),
  });
  return {
    mode: fixtures[0]?.mode ?? 'local',
    fixtures,
    store,
    async close() {
      await store.close();
      await Promise.all(fixtures.map((fixture) => fixture.close()));
    },
  };
}

scenario(
  {
    promise:
      'with one region killed, registers can still be written and read, and the region catches up afterwards',
    fault: 'kill -9 of one Postgres of three, start again',
    inContainers: true,
  },
  openRegions,
  async ({ fixtures, store }) => {
    const [east] = fixtures;
    await store.write('plan', 0);
    await store.settled();
    const killedAtMs = systemClock.now();
    await east?.primary.kill();
    let slowestMs = 0;
    let served = 0;
    for (let round = 1; round <= ROUNDS; round += 1) {
      const beganMs = systemClock.now();
      await store.write('plan', round);
      if ((await store.read('plan'))?.value === round) served += 1;
      slowestMs = Math.max(slowestMs, systemClock.now() - beganMs);
    }
    expect(await store.readWithFailover('plan')).toMatchObject({ value: ROUNDS });
    await east?.primary.start();
    const lastedMs = systemClock.now() - killedAtMs;
    await store.settled();
    await store.write('plan', 'after');
    await store.settled();
    const [row] = (await east?.ask('select value from holdfast_registers')) ?? [];
    expect(row?.['value']).toBe('"after"');
    expect(slowestMs).toBeLessThan(TIMEOUT_MS);
    return {
      accepted: ROUNDS,
      delivered: served,
      lastedMs,
      note: `slowest write and read during the outage: ${Math.round(slowestMs)} ms`,
    };
  },
);

scenario(
  {
    promise:
      'with one region frozen no call waits for it, and with two frozen every call is rejected in time',
    fault: 'SIGSTOP of one Postgres of three, then of a second',
  },
  openRegions,
  async ({ fixtures, store }) => {
    const [east, west] = fixtures;
    await store.write('plan', 'before');
    await store.settled();
    await east?.primary.freeze();
    const beganMs = systemClock.now();
    await store.write('plan', 'during');
    expect((await store.read('plan'))?.value).toBe('during');
    const tookMs = systemClock.now() - beganMs;
    expect(tookMs).toBeLessThan(TIMEOUT_MS);
    await west?.primary.freeze();
    const refusedFromMs = systemClock.now();
    await expect(store.read('plan')).rejects.toMatchObject({ code: 'DATABASE_QUORUM_UNAVAILABLE' });
    const refusedAfterMs = systemClock.now() - refusedFromMs;
    expect(refusedAfterMs).toBeLessThan(TIMEOUT_MS * 2);
    await Promise.all([east?.primary.thaw(), west?.primary.thaw()]);
    expect((await store.read('plan'))?.value).toBe('during');
    return {
      accepted: 1,
      delivered: 1,
      detectedAfterMs: refusedAfterMs,
      note: `write and read with one frozen: ${Math.round(tookMs)} ms`,
    };
  },
);
