import { expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { commandFailure } from '../../src/system/command.ts';
import { netemArguments, checkImpairment, checkNetem } from '../../src/limits/netem.ts';
import { containerPackets } from '../../src/runtime/container/packets.ts';
import { parseImpairment } from '../../src/limits/impairment.ts';
import type { ServerHandle } from '../../src/handle/handle.ts';
import type { StageMode } from '../../src/mode-name.ts';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { containersWith, engineHere } from '../engine-session.ts';
import { UNHURRIED, redisValue } from '../servers/redis-contract.ts';

const mode: StageMode = process.env['HOLDFAST_STAGE'] === 'docker' ? 'docker' : 'local';
const plan = await checkImpairment();
const NOTHING = {
  delayMs: 0,
  jitterMs: 0,
  lossRatio: 0,
  duplicateRatio: 0,
  corruptRatio: 0,
  reorderRatio: 0,
};

async function tookMs(work: () => Promise<unknown>): Promise<number> {
  const startedMs = systemClock.now();
  await work();
  return systemClock.now() - startedMs;
}

test.each([
  ['nsenter', 'util-linux'],
  ['tc', 'iproute2'],
  ['nsenter true', 'Run as root'],
  ['unshare', 'util-linux'],
  ['unshare 1ms', 'modprobe sch_netem'],
])('when %s fails, the check reports the reason and the remedy (%s)', async (failing, remedy) => {
  const [file, last] = failing.split(' ');
  const judged = await checkNetem((tried, args) => {
    const fails = tried === file && (last === undefined || args.at(-1) === last);
    return Promise.resolve(fails ? `'${failing}' ended with 1: seen` : undefined);
  });
  expect(judged).toEqual({
    available: false,
    reason: `'${failing}' ended with 1: seen`,
    remedy: expect.stringContaining(remedy),
  });
});

test('when all requirements are met, the check reports that impairment is available', async () => {
  expect(await checkNetem(() => Promise.resolve(undefined))).toEqual({ available: true });
});

test('a program that is not on PATH is named', async () => {
  expect(await commandFailure('holdfast-no-such-program', [])).toBe(
    'holdfast-no-such-program is not on PATH',
  );
});

test('the kernel receives the given options and no others', () => {
  expect(netemArguments({ ...NOTHING, lossRatio: 0.25 }).slice(3)).toEqual(['loss', '25%']);
  const all = {
    delayMs: 40,
    jitterMs: 8,
    lossRatio: 0.01,
    duplicateRatio: 0.02,
    corruptRatio: 0.005,
    reorderRatio: 0.5,
  };
  expect(netemArguments(all).slice(3).join(' ')).toBe(
    'delay 40ms 8ms loss 1% duplicate 2% corrupt 0.5% reorder 50%',
  );
});

const impossible: [object, string][] = [
  [{ lossRatio: 1.5 }, 'lossRatio'],
  [{ delayMs: -1 }, 'delayMs'],
  [{ delayMs: 5, jitterMs: 6 }, 'jitterMs'],
  [{ reorderRatio: 0.5 }, 'reorderRatio'],
  [{ delay: 5 }, 'delay'],
  [{}, 'options'],
];
test.each(impossible)('an invalid impairment is refused by its field: %j', (options, field) => {
  expect(() => parseImpairment('redis.impair', options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

if (mode === 'local') {
  test('a process in the machine’s network is not impaired, and the error names the alternative', async () => {
    const stage = closeAfterTest(await openStage({ mode, redis: true }));
    await expect(stage.redis.impair({ delayMs: 50 })).rejects.toMatchObject({
      code: 'STAGE_FAULT_UNSUPPORTED',
      server: 'redis',
      message: expect.stringMatching(/shares the network.*link\.faults\.set\('latency'/),
    });
    expect(await redisValue(stage.redis, ['PING'])).toBe('PONG');
  });
} else if (plan.available) {
  test('packets of a container are delayed until it is undone, over a restart too', async () => {
    const stage = closeAfterTest(await openStage({ mode, redis: true, ...UNHURRIED }));
    const ping = (): Promise<unknown> => redisValue(stage.redis.direct, ['PING']);
    const fault = await stage.redis.impair({ delayMs: 300 });
    expect(await tookMs(ping)).toBeGreaterThan(290);
    await stage.redis.kill();
    await stage.redis.start();
    expect(await tookMs(ping)).toBeGreaterThan(290);
    await fault.undo();
    expect(await tookMs(ping)).toBeLessThan(290);
  });
} else {
  test(`an impairment that this machine does not support is refused, and nothing is changed (${plan.reason})`, async () => {
    const stage = closeAfterTest(await openStage({ mode, redis: true }));
    const refused = stage.redis.impair({ delayMs: 300 });
    await expect(refused).rejects.toMatchObject({
      code: 'STAGE_FAULT_UNSUPPORTED',
      server: 'redis',
    });
    await expect(refused).rejects.toThrow(`${plan.reason}. ${plan.remedy}`);
    expect(await redisValue(stage.redis, ['PING'])).toBe('PONG');
  });
}

const VALUE = 'x'.repeat(100_000);
/** About two seconds for the value; a discipline of more kernels than netem. */
const SLOW = ['tbf', 'rate', '400kbit', 'burst', '5000', 'latency', '10s'] as const;
const tried = ['--net', 'tc', 'qdisc', 'add', 'dev', 'lo', 'root', ...SLOW];
const shapes = (await commandFailure('unshare', tried)) === undefined;

if (mode === 'docker' && shapes) {
  test('a container is impaired in its own network, in its next run too, until it is undone (by another discipline than netem)', async () => {
    const stage = closeAfterTest(
      await openStage({
        mode,
        redis: { settings: { appendonly: 'yes', appendfsync: 'always' } },
        ...UNHURRIED,
      }),
    );
    const { redis } = stage;
    const read = (server: Pick<ServerHandle, 'direct'> = redis): Promise<number> =>
      tookMs(async () => {
        expect(await redisValue(server.direct, ['GET', 'key'])).toHaveLength(VALUE.length);
      });
    await redisValue(redis, ['SET', 'key', VALUE]);
    const [id] = await containersWith([`holdfast.runner=${process.pid}`, 'holdfast.server=redis']);
    const discipline = {
      arguments: () => SLOW,
      check: () => Promise.resolve({ available: true } as const),
    };
    const packets = containerPackets('redis', engineHere(), () => id, discipline);
    const signal = AbortSignal.timeout(30_000);
    expect(await read()).toBeLessThan(1_000);

    await packets.impair({ ...NOTHING, delayMs: 1 }, signal);
    expect(await read()).toBeGreaterThan(1_000);
    await redis.kill();
    await redis.start();
    expect(await read()).toBeLessThan(1_000);
    await packets.reapply(signal);
    expect(await read()).toBeGreaterThan(1_000);
    await packets.impair(undefined, signal);
    expect(await read()).toBeLessThan(1_000);
  }, 60_000);

  test('an argument that the kernel refuses leaves nothing behind, and a shared network is not changed', async () => {
    const stage = closeAfterTest(await openStage({ mode, redis: true, dns: true }));
    const signal = AbortSignal.timeout(30_000);
    const labels = [`holdfast.runner=${process.pid}`];
    const impair = async (server: string): Promise<void> => {
      const [id] = await containersWith([...labels, `holdfast.server=${server}`]);
      const discipline = {
        arguments: () => ['no-such-discipline'],
        check: () => Promise.resolve({ available: true } as const),
      };
      const packets = containerPackets(server, engineHere(), () => id, discipline);
      await packets.impair({ ...NOTHING, delayMs: 1 }, signal);
    };
    await expect(impair('redis')).rejects.toMatchObject({ code: 'STAGE_FAULT_UNSUPPORTED' });
    expect(await redisValue(stage.redis, ['PING'])).toBe('PONG');
    await expect(impair('dns')).rejects.toThrow('shares the network of the machine');
  }, 60_000);
}
