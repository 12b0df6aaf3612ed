import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import * as faults from '@holdfast/faults';
import type { ProxyFaultKind } from '@holdfast/faults';
import { closeAfterTest } from './close-after-test.ts';

/** Options as they come from a caller without types. */
type Given = any;
/** What is called, with what, and the field that is refused. */
type Case = readonly [string, (given: Given) => unknown, Given, string];

/** Each under a name of its own, which says what is refused. */
const titled = (cases: readonly Case[]): Case[] =>
  cases.map(([what, call, given, field]) => [
    `${what} refuses ${field} in ${inspect(given, { depth: 1, compact: true, breakLength: 200 })}`,
    call,
    given,
    field,
  ]);

const target = { port: 1 };
const probe = { probes: { fine: () => undefined } };
const trial = { name: 'trial', steadyState: probe, fault: () => () => undefined, durationMs: 1 };
const weather = faults.storm(1);
const never = { now: () => 0 };

/** Every way to say a share that is none. */
const shares: readonly unknown[] = [Number.NaN, -0.1, 1.1, '0.5', null, Number.POSITIVE_INFINITY];
const noShare = (what: string, call: (probability: Given) => unknown): Case[] =>
  shares.map((share) => [what, call, share, 'probability']);

const proxies = {
  createFaultProxy: faults.createFaultProxy,
  createHttpFaultProxy: faults.createHttpFaultProxy,
  createTlsFaultProxy: faults.createTlsFaultProxy,
  createRedisFaultProxy: faults.createRedisFaultProxy,
  createPostgresFaultProxy: faults.createPostgresFaultProxy,
};
const everyProxy = Object.entries(proxies).flatMap(([name, open]): Case[] => {
  const call = async (given: Given): Promise<unknown> => open(given);
  return [
    [name, call, 'localhost:1', 'options'],
    [name, call, {}, 'target.port'],
    [name, call, { target: 6_379 }, 'target'],
    [name, call, { target: { port: '6379' } }, 'target.port'],
    [name, call, { target: { port: 65_536 } }, 'target.port'],
    [name, call, { target: { port: 1, hosts: [] } }, 'target.hosts'],
    [name, call, { target, listen: { port: -1 } }, 'listen.port'],
    [name, call, { target, seed: Number.NaN }, 'seed'],
    [name, call, { target, seed: '42' }, 'seed'],
    [name, call, { target, allowRemote: 'yes' }, 'allowRemote'],
    [name, call, { target, maxConnections: 0 }, 'maxConnections'],
    [name, call, { target, toxicity: 1 }, 'toxicity'],
    [name, call, { target, ...(name.includes('Toxi') ? {} : { clock: never }) }, 'clock'],
  ];
});

test.each(titled(everyProxy))('%s', async (_, call, given, field) => {
  const outcome = Promise.resolve(call(given));
  await expect(outcome).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
  await expect(outcome).rejects.toThrow(/must be|but is/);
});

test.each(Object.entries(proxies))(
  '%s refuses a remote target, and names the option that allows it',
  async (_, open) => {
    for (const host of ['192.0.2.1', 'example.org', '0.0.0.0', '::ffff:192.0.2.1', '128.0.0.1']) {
      await expect(open({ target: { host, port: 1 } })).rejects.toMatchObject({
        code: 'FAULTS_REMOTE_TARGET',
        host,
        message: expect.stringContaining('allowRemote: true'),
      });
    }
  },
);

/** The least that each fault of the proxy takes. */
const least: Record<ProxyFaultKind, object> = {
  corrupt: { byteShare: 0.5 },
  limitData: { maxBytes: 1 },
  slice: { sliceBytes: 1 },
  latency: { latencyMs: 1 },
  bandwidth: { bytesPerSecond: 1 },
  slowClose: { delayMs: 1 },
  blackhole: {},
  timeout: { timeoutMs: 1 },
  silence: {},
  halfOpen: {},
  reset: {},
  down: {},
};

test.each(faults.faultKindNames)('%s refuses unknown options and changes nothing', async (kind) => {
  const proxy = closeAfterTest(await faults.createFaultProxy({ target }));
  const given: { set(name: string, options?: unknown): void } = proxy.faults;
  const refusal = (field: string): unknown =>
    expect.objectContaining({ code: 'INVALID_OPTION', field });
  for (const probability of shares) {
    const options = { ...least[kind], probability };
    expect(() => given.set(kind, options)).toThrow(refusal('probability'));
  }
  expect(() => given.set(kind, { ...least[kind], meteor: 1 })).toThrow(refusal('meteor'));
  expect(() => given.set(kind, 'much')).toThrow(refusal('options'));
  const late = { ...least[kind], schedule: { afterMs: -1 } };
  expect(() => given.set(kind, late)).toThrow(refusal('schedule.afterMs'));
  const crowded = { ...least[kind], schedule: { forMs: 5, everyMs: 5 } };
  expect(() => given.set(kind, crowded)).toThrow(refusal('schedule.everyMs'));
  for (const name of Object.keys(least[kind])) {
    const without: unknown = { ...least[kind], [name]: undefined };
    expect(() => given.set(kind, without)).toThrow(refusal(name));
    const wrong = { ...least[kind], [name]: Number.NaN };
    expect(() => given.set(kind, wrong)).toThrow(refusal(name));
  }
  expect(proxy.faults.list()).toEqual([]);
  given.set(kind, least[kind]);
  expect(proxy.faults.list()).toEqual([kind]);
});

test('an unknown fault is refused by each proxy, naming the known ones', async () => {
  const tcp = closeAfterTest(await faults.createFaultProxy({ target }));
  const http = closeAfterTest(await faults.createHttpFaultProxy({ target }));
  const tls = closeAfterTest(await faults.createTlsFaultProxy({ target }));
  const redis = closeAfterTest(await faults.createRedisFaultProxy({ target }));
  const postgres = closeAfterTest(await faults.createPostgresFaultProxy({ target }));
  const boards: readonly [{ set(kind: Given): void }, string][] = [
    [tcp.faults, 'blackhole'],
    [http.faults, 'slowDrip'],
    [tls.faults, 'renegotiated'],
    [redis.faults, 'MISCONF'],
    [postgres.faults, '57P01'],
  ];
  for (const [board, known] of boards) {
    for (const kind of ['meteor', '', 'toString', '__proto__', undefined, 7]) {
      expect(() => board.set(kind)).toThrow(
        expect.objectContaining({
          code: 'INVALID_OPTION',
          message: expect.stringContaining(known),
        }),
      );
    }
  }
  const setOf = {
    http: (probability: Given) => http.faults.set('reset', { probability }),
    redis: (probability: Given) => redis.faults.set('OOM', { probability }),
    postgres: (probability: Given) => postgres.faults.set('40001', { probability }),
  };
  for (const call of Object.values(setOf)) {
    for (const share of shares) {
      expect(() => call(share)).toThrow(expect.objectContaining({ field: 'probability' }));
    }
  }
});

const cases: Case[] = [
  ...noShare('configureFault', (probability) =>
    faults.createChaosFaultInjector(true).configureFault('timeout', { probability }),
  ),
  ['createChaosFaultInjector', (given) => faults.createChaosFaultInjector(given), 'on', 'enabled'],
  [
    'createChaosFaultInjector',
    (given) => faults.createChaosFaultInjector(true, given),
    { seed: -1 },
    'seed',
  ],
  [
    'createChaosFaultInjector',
    (given) => faults.createChaosFaultInjector(true, given),
    { sead: 1 },
    'sead',
  ],
  [
    'configureFault',
    (given) => faults.createChaosFaultInjector(true).configureFault(given),
    'meteor',
    'kind',
  ],
  ['storm', (given) => faults.storm(given), Number.NaN, 'seed'],
  ['storm', (given) => faults.storm(given), '42', 'seed'],
  ['storm', (given) => faults.storm(1, given), { durationMs: 0 }, 'durationMs'],
  ['storm', (given) => faults.storm(1, given), { kinds: [] }, 'kinds'],
  ['fleetStorm', (given) => faults.fleetStorm(given, { servers: ['a'] }), Number.NaN, 'seed'],
  ['fleetStorm', (given) => faults.fleetStorm(1, given), { servers: ['a', 'a'] }, 'servers'],
  ['playStorm', (given) => faults.playStorm(given, weather, given), { clocks: 1 }, 'clocks'],
  [
    'playFleetStorm',
    (given) => faults.playFleetStorm({}, given),
    faults.fleetStorm(1, { servers: ['a'] }),
    'server',
  ],
  [
    'withstand',
    (given) => faults.withstand(weather, async () => {}, given),
    { maxRuns: -1 },
    'maxRuns',
  ],
  [
    'shrinkStorm',
    (given) => faults.shrinkStorm(weather, async () => true, given),
    { maxRuns: '9' },
    'maxRuns',
  ],
  ['experiment', faults.experiment, { ...trial, name: '' }, 'name'],
  ['experiment', faults.experiment, { ...trial, durationMs: 0 }, 'durationMs'],
  ['experiment', faults.experiment, { ...trial, fault: undefined }, 'fault'],
  ['experiment', faults.experiment, { ...trial, abortIf: true }, 'abortIf'],
  ['experiment', faults.experiment, { ...trial, duration: 1 }, 'duration'],
  ['experiment', faults.experiment, { ...trial, steadyState: {} }, 'steadyState.probes'],
  [
    'experiment',
    faults.experiment,
    { ...trial, steadyState: { ...probe, maxBadShare: 2 } },
    'steadyState.maxBadShare',
  ],
  ['generateLoad', (given) => faults.generateLoad(() => {}, given), {}, 'durationMs'],
  [
    'generateLoad',
    (given) => faults.generateLoad(() => {}, given),
    { durationMs: 1, ratePerSecond: 0 },
    'ratePerSecond',
  ],
  [
    'generateLoad',
    (given) => faults.generateLoad(() => {}, given),
    { durationMs: 1, ratePerSecond: Number.NaN },
    'ratePerSecond',
  ],
  [
    'generateLoad',
    (given) => faults.generateLoad(() => {}, given),
    { durationMs: 1, arrivals: 'bursts' },
    'arrivals',
  ],
  [
    'generateLoad',
    (given) => faults.generateLoad(() => {}, given),
    { durationMs: 1, rate: 1 },
    'rate',
  ],
  ['generateLoad', (given) => faults.generateLoad(given, { durationMs: 1 }), 'work', 'work'],
  [
    'generateLoad',
    (given) => faults.generateLoad(() => {}, given),
    { durationMs: 1, ratePerSecond: 1, users: 2 },
    'users',
  ],
  ['createToxiproxyServer', faults.createToxiproxyServer, { port: 70_000 }, 'port'],
  ['createToxiproxyServer', faults.createToxiproxyServer, { toxics: [] }, 'toxics'],
  ['createToxiproxyServer', faults.createToxiproxyServer, { allowRemote: 1 }, 'allowRemote'],
  ['openSandbox', faults.openSandbox, { diskMaxBytes: 1 }, 'diskMaxBytes'],
  ['openSandbox', faults.openSandbox, { disk: 1 }, 'disk'],
  ['limitDescriptors', faults.limitDescriptors, { pid: 0, maxOpen: 1 }, 'pid'],
  ['limitDescriptors', faults.limitDescriptors, { pid: 1, maxOpen: Number.NaN }, 'maxOpen'],
  ['checkHostFault', (given) => faults.checkHostFault(given), 'meteor', 'kind'],
  ['prepareClock', faults.prepareClock, { program: 7 }, 'program'],
  ['prepareClock', faults.prepareClock, { offset: 7 }, 'offset'],
  ['createResourceFaults', faults.createResourceFaults, {}, 'module'],
  [
    'createCertificateAuthority',
    faults.createCertificateAuthority,
    { commonName: '' },
    'commonName',
  ],
  [
    'issue',
    (given) => faults.createCertificateAuthority().issue(given),
    { hostnames: [] },
    'hostnames',
  ],
];

test.each(titled(cases))('%s, naming it and what is permitted', async (_, call, given, field) => {
  const outcome = (async () => call(given))();
  await expect(outcome).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
  await expect(outcome).rejects.toThrow(/must be .+, but is/);
});
