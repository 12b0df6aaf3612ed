import { expect, test } from '@jest/globals';
import { type Random, seededRandom, sleep } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type ReplicatedStore,
  createReplicatedStore,
} from '../../src/replicated/replicated-store.ts';
import { type Call, isLinearizable } from './linearizability.ts';
import { MemoryRegion, type RegionFaults } from './memory-region.ts';

const HISTORIES = Number(process.env['HOLDFAST_HISTORIES'] ?? 1_500);
/** HOLDFAST_SEED with HOLDFAST_HISTORIES=4 plays one history of each kind again. */
const FIRST_SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);
const CLIENTS = 4;
const CALLS_EACH = 4;
const KEY = 'k';

const harsh: RegionFaults = {
  latencyMs: 40,
  refused: 0.05,
  lostRequest: 0.08,
  lostReply: 0.08,
  silent: 0.05,
};

test.each([
  ['three regions, majorities', 3, {}],
  ['three regions, written to all and read from one', 3, { writeQuorum: 3, readQuorum: 1 }],
  ['five regions, majorities', 5, {}],
  ['five regions, written to two and read from four', 5, { writeQuorum: 2, readQuorum: 4 }],
])('with %s every history is linearizable, whatever is lost', async (_, regions, quorums) => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + HISTORIES / 4; seed += 1) {
    const calls = await playHistory({ seed, regions, quorums, faults: harsh });
    const seen = { seed, calls, linearizable: isLinearizable(calls) };
    expect(seen).toEqual({ seed, calls, linearizable: true });
  }
});

test('regions that acknowledge writes without storing them are detected', async () => {
  let found = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + 100; seed += 1) {
    const faults = { latencyMs: 40, forgets: 0.5 };
    const calls = await playHistory({ seed, regions: 3, quorums: {}, faults });
    if (!isLinearizable(calls)) found += 1;
  }
  expect(found).toBeGreaterThan(5);
});

interface Plan {
  readonly seed: number;
  readonly regions: number;
  readonly quorums: { writeQuorum?: number; readQuorum?: number };
  readonly faults: RegionFaults;
}

/** Some clients on two stores read and write one register at the same time; a region is away for a while. */
async function playHistory({ seed, regions, quorums, faults }: Plan): Promise<Call[]> {
  const random = seededRandom(seed);
  const clock = createFakeClock();
  const databases = Array.from(
    { length: regions },
    () => new MemoryRegion(clock, random, { ...faults }),
  );
  const members = databases.map((database, index) => ({ name: `r${index}`, database }));
  const options = { regions: members, clock, timeoutMs: 200, hedgeDelayMs: 15, ...quorums };
  const stores = ['a', 'b'].map((writer) => createReplicatedStore({ ...options, writer }));
  const calls: Call[] = [];
  const moments = { last: 0 };
  const clients = Array.from({ length: CLIENTS }, (_, client) =>
    runClient({ client, store: stores[client % 2], clock, random, calls, moments }),
  );
  const away = databases[Math.floor(random() * regions)];
  const outage = async (): Promise<void> => {
    await sleep(clock, random() * 100);
    if (away !== undefined) away.faults = { ...faults, lostRequest: 1 };
    await sleep(clock, random() * 200);
    if (away !== undefined) away.faults = faults;
  };
  await clock.settle(Promise.all([...clients, outage()]).then(() => undefined));
  await Promise.all(stores.map((store) => store.close()));
  if (clock.pendingTimers > 0)
    throw new Error(`seed ${seed}: ${clock.pendingTimers} timers are left`);
  return calls;
}

interface ClientRun {
  readonly client: number;
  readonly store: ReplicatedStore | undefined;
  readonly clock: FakeClock;
  readonly random: Random;
  readonly calls: Call[];
  readonly moments: { last: number };
}

async function runClient({
  client,
  store,
  clock,
  random,
  calls,
  moments,
}: ClientRun): Promise<void> {
  const moment = (): number => (moments.last += 1);
  for (let turn = 0; turn < CALLS_EACH; turn += 1) {
    await sleep(clock, random() * 60);
    const began = moment();
    if (random() < 0.5) {
      const value = `${client}.${turn}`;
      try {
        await store?.write(KEY, value);
        calls.push({ kind: 'write', value, began, ended: moment() });
      } catch (error) {
        if (codeOf(error) === 'DATABASE_WRITE_UNKNOWN') {
          calls.push({ kind: 'write', value, began, ended: Infinity });
        } else if (codeOf(error) !== 'DATABASE_QUORUM_UNAVAILABLE') throw error;
      }
    } else {
      try {
        const read = await store?.read(KEY);
        const value = read === undefined ? undefined : String(read.value);
        calls.push({ kind: 'read', value, began, ended: moment() });
      } catch (error) {
        if (codeOf(error) !== 'DATABASE_QUORUM_UNAVAILABLE') throw error;
      }
    }
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
