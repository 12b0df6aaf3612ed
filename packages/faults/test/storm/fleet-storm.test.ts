import { expect, test } from '@jest/globals';
import {
  type FleetServer,
  type FleetStorm,
  type ProxyFaultSpec,
  fleetStorm,
  playFleetStorm,
  withstand,
} from '@holdfast/faults';
import { createFakeClock } from '@holdfast/foundation/testing';

/** A server that writes down what is done to it. */
function recorder(done: string[], name: string): FleetServer {
  const verb = (what: string) => async (): Promise<void> => void done.push(`${name} ${what}`);
  return {
    kill: verb('kill'),
    start: verb('start'),
    freeze: verb('freeze'),
    thaw: verb('thaw'),
    link: {
      faults: {
        set: () => {},
        apply: (setting: ProxyFaultSpec) => void done.push(`${name} ${setting.kind}`),
        clear: async (kind: string) => void done.push(`${name} no ${kind}`),
        list: () => [],
      },
      heal: verb('heal'),
    },
  };
}

const servers = ['redis', 'postgres'];
const weather: FleetStorm = {
  seed: 0,
  durationMs: 1_000,
  faults: [
    { atMs: 100, forMs: 300, server: 'redis', fault: { kind: 'kill' } },
    { atMs: 150, forMs: 50, server: 'postgres', fault: { kind: 'freeze' } },
    { atMs: 300, forMs: 600, server: 'postgres', fault: { kind: 'blackhole', options: {} } },
  ],
};

test('a storm over several servers is data, and its seed reproduces it', () => {
  const drawn = fleetStorm(42, { servers, maxFaults: 30 });
  const kept: unknown = JSON.parse(JSON.stringify(drawn));
  expect(kept).toEqual(fleetStorm(42, { servers, maxFaults: 30 }));
  expect(drawn).not.toEqual(fleetStorm(43, { servers, maxFaults: 30 }));
  expect(new Set(drawn.faults.map(({ server }) => server))).toEqual(new Set(servers));
  const kinds = drawn.faults.map(({ fault }) => fault.kind);
  expect(kinds).toContain('kill');
  expect(kinds).toContain('freeze');
  expect(new Set(kinds).size).toBeGreaterThan(4);
});

test('faults drawn for one server do not conflict, for any seed', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const { faults } = fleetStorm(seed, { servers, maxFaults: 20, maxFaultMs: 1_000 });
    expect(faults.every(({ atMs, forMs }) => forMs <= 1_000 && atMs + forMs <= 10_000)).toBe(true);
    const verbs = faults.filter(({ fault }) => fault.kind === 'kill' || fault.kind === 'freeze');
    for (const server of servers) {
      const own = verbs.filter((fault) => fault.server === server);
      const ends = own.map(({ atMs, forMs }) => atMs + forMs);
      expect(own.slice(1).every(({ atMs }, index) => atMs > (ends[index] ?? 0))).toBe(true);
    }
  }
});

test('storms of adjacent seeds have no fault in common', () => {
  const faultsOf = (seed: number): string[] =>
    fleetStorm(seed, { servers, maxFaults: 10 }).faults.map((fault) => JSON.stringify(fault));
  const all = Array.from({ length: 64 }, (_, seed) => faultsOf(seed)).flat();
  expect(new Set(all).size).toBe(all.length);
});

test('each server gets its own faults on time, and all run in the end', async () => {
  const clock = createFakeClock();
  const done: string[] = [];
  const fleet = { redis: recorder(done, 'redis'), postgres: recorder(done, 'postgres') };
  await clock.settle(playFleetStorm(fleet, weather, { clock }));
  expect(done).toEqual([
    'redis kill',
    'postgres freeze',
    'postgres thaw',
    'postgres blackhole',
    'redis start',
    'postgres no blackhole',
    'redis heal',
    'postgres heal',
  ]);
  expect(clock.now()).toBe(1_000);
  expect(clock.pendingTimers).toBe(0);
});

test('an aborted storm leaves no server stopped, frozen or partitioned', async () => {
  const clock = createFakeClock();
  const done: string[] = [];
  const fleet = { redis: recorder(done, 'redis'), postgres: recorder(done, 'postgres') };
  const caller = new AbortController();
  const playing = playFleetStorm(fleet, weather, { clock, signal: caller.signal });
  await clock.advance(160);
  caller.abort(new Error('enough'));
  await expect(playing).rejects.toThrow('enough');
  expect(done.slice(2).toSorted()).toEqual([
    'postgres heal',
    'postgres thaw',
    'redis heal',
    'redis start',
  ]);
  expect(clock.pendingTimers).toBe(0);
});

test('a server operation that fails ends the storm for all servers with its error', async () => {
  const clock = createFakeClock();
  const done: string[] = [];
  const broken = {
    ...recorder(done, 'redis'),
    kill: async () => {
      throw new Error('will not die');
    },
  };
  const fleet = { redis: broken, postgres: recorder(done, 'postgres') };
  const playing = clock.settle(playFleetStorm(fleet, weather, { clock }));
  await expect(playing).rejects.toThrow('will not die');
  expect(clock.now()).toBe(100);
  expect(done).toContain('postgres heal');
});

test('a failing storm is shrunk to the faults that matter, and names the command that replays it', async () => {
  const run = async ({ faults }: FleetStorm): Promise<void> => {
    const has = (server: string, kind: string): boolean =>
      faults.some((fault) => fault.server === server && fault.fault.kind === kind);
    if (has('redis', 'kill') && has('postgres', 'freeze')) throw new Error('a job was lost');
  };
  let seed = 0;
  const drawn = (): FleetStorm => fleetStorm(seed, { servers, maxFaults: 20 });
  while (
    await run(drawn()).then(
      () => true,
      () => false,
    )
  )
    seed += 1;
  const failure = withstand(drawn(), run, {
    replay: `HOLDFAST_SEED=${seed} node --run test:chaos`,
  });
  await expect(failure).rejects.toThrow(`Replay it with HOLDFAST_SEED=${seed} node`);
  await expect(failure).rejects.toMatchObject({ shrunk: { faults: { length: 2 } } });
});

test('unknown servers, kinds and server faults are refused', async () => {
  const given: { draw(seed: number, options: object): FleetStorm } = { draw: fleetStorm };
  const refusal = (field: string): unknown =>
    expect.objectContaining({ code: 'INVALID_OPTION', field });
  expect(() => given.draw(1, { servers: [] })).toThrow(refusal('servers'));
  expect(() => given.draw(1, { servers, kinds: ['meteor'] })).toThrow(refusal('kinds'));
  expect(() => given.draw(1, { servers, verbs: ['explode'] })).toThrow(refusal('verbs'));
  await expect(playFleetStorm({}, weather)).rejects.toMatchObject({ field: 'server' });
});
