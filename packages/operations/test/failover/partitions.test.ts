import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  createFailoverManager,
  createMemoryDiscovery,
  createMemoryLeaseStore,
  followRoute,
} from '@holdfast/operations';
import { ModelNetwork, ModelServer, discoveryOf, memberOf } from './model.ts';

const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? 40);
const PARTITIONS_A_RUN = 5;
const PRIMARY = 'a';
const REPLICAS = ['b', 'c'];
const SERVERS = [PRIMARY, ...REPLICAS];
const MANAGERS = ['manager-1', 'manager-2'];
const WRITERS = ['writer-1', 'writer-2'];
const SERVICE = 'accounts';
const STEP_MS = 200;

/** Everybody who takes part in one run. */
async function openModel() {
  const clock = createFakeClock();
  const network = new ModelNetwork();
  const first = new ModelServer(PRIMARY);
  const servers = [first, ...REPLICAS.map((id) => new ModelServer(id))];
  first.role = 'primary';
  const discovery = createMemoryDiscovery();
  const signal = new AbortController().signal;
  await discovery.publish(SERVICE, { member: first.id, epoch: 1, isOpen: true }, { signal });
  const lease = createMemoryLeaseStore(clock);
  const moves: number[] = [];
  const managers = MANAGERS.map((holder) => {
    const manager = createFailoverManager({
      service: SERVICE,
      holder,
      members: servers.map((server) => memberOf(server, holder, network)),
      lease,
      discovery: discoveryOf(discovery, holder, network),
      callTimeoutMs: 500,
      leaseTtlMs: 4_000,
      routeTtlMs: 8_000,
      clock,
    });
    manager.on('failed-over', ({ epoch }) => moves.push(epoch));
    return manager;
  });
  const writers = WRITERS.map((name) => ({
    name,
    route: followRoute({
      service: SERVICE,
      discovery: discoveryOf(discovery, name, network),
      callTimeoutMs: 500,
      ttlMs: 8_000,
      clock,
    }),
  }));
  return { clock, network, servers, discovery, managers, writers, moves, signal };
}

type Model = Awaited<ReturnType<typeof openModel>>;

/** One write of each writer; the acknowledged ones are noted. */
function writeAll(
  { writers, servers, network }: Model,
  next: () => number,
  acknowledged: number[],
): void {
  for (const { name, route } of writers) {
    try {
      const { member, epoch } = route.current();
      const server = servers.find(({ id }) => id === member);
      if (server === undefined || !network.reaches(name, member)) continue;
      const others = servers.filter(({ id }) => id !== member && network.reaches(member, id));
      const value = next();
      if (server.write(value, epoch, others)) acknowledged.push(value);
    } catch {
      // The route is closed or too old: nothing is written.
    }
  }
}

/** A person makes the fenced primaries replicas of the one that the route names. */
async function rejoin({ servers, discovery, signal }: Model): Promise<void> {
  const route = await discovery.read(SERVICE, { signal });
  const primary = servers.find(({ id }) => id === route?.member);
  if (primary === undefined || route?.isOpen !== true) return;
  for (const server of servers) {
    if (server === primary || server.role === 'replica') continue;
    server.role = 'replica';
    server.epoch = primary.epoch;
    server.log = primary.log;
  }
}

async function run(seed: number): Promise<{ acknowledged: number; moves: number }> {
  const random = seededRandom(seed);
  const model = await openModel();
  const { clock, network, servers } = model;
  const acknowledged: number[] = [];
  let value = 0;
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      writeAll(model, () => (value += 1), acknowledged);
      await clock.advance(STEP_MS);
    }
  };
  await pass(2_000);
  const all = [...SERVERS, ...MANAGERS, ...WRITERS, 'discovery'];
  for (let partition = 0; partition < PARTITIONS_A_RUN; partition += 1) {
    const route = await model.discovery.read(SERVICE, { signal: model.signal });
    // Every second one cuts the primary off, with whom chance will have it; the others cut anywhere.
    const isAimed = partition % 2 === 0;
    const side = new Set(all.filter(() => random() < (isAimed ? 0.15 : 0.5)));
    if (isAimed && route !== undefined) side.add(route.member);
    for (const one of all) {
      for (const other of all) {
        const isApart = side.has(one) !== side.has(other);
        if (one < other && isApart && random() < 0.9) network.cut(one, other);
      }
    }
    if (partition === 1 && route !== undefined) {
      // The worst: writers that know of no change still reach a primary that no manager can fence.
      network.heal();
      for (const manager of MANAGERS) network.cut(manager, route.member);
      for (const writer of WRITERS) network.cut(writer, 'discovery');
    }
    await pass(4_000 + random() * 20_000);
    network.heal();
    await pass(2_000 + random() * 8_000);
    if (random() < 0.7) await rejoin(model);
  }
  await pass(20_000);
  await rejoin(model);
  await pass(20_000);
  const epochs = servers.flatMap(({ accepted }) => [...accepted]);
  expect({ seed, twice: epochs.length - new Set(epochs).size }).toEqual({ seed, twice: 0 });
  const route = await model.discovery.read(SERVICE, { signal: model.signal });
  const primary = servers.find(({ id }) => id === route?.member);
  const kept = new Set(primary?.log.map((entry) => entry.value));
  const lost = acknowledged.filter((each) => !kept.has(each));
  expect({ seed, lost }).toEqual({ seed, lost: [] });
  for (const { route: follower } of model.writers) await follower.close();
  await clock.settle(Promise.all(model.managers.map((manager) => manager.close())));
  return { acknowledged: acknowledged.length, moves: model.moves.length };
}

test(`in ${RUNS * PARTITIONS_A_RUN} random partitions no acknowledged write is lost, and no two primaries accept one in an epoch`, async () => {
  let [acknowledged, moves] = [0, 0];
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const result = await run(seed);
    acknowledged += result.acknowledged;
    moves += result.moves;
  }
  // What never writes loses nothing, and what never fails over has one primary.
  expect(acknowledged).toBeGreaterThan(RUNS * 100);
  expect(moves).toBeGreaterThan(RUNS);
}, 600_000);
