/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { type Random, seededRandom } from '@holdfast/foundation';
import { commandFailure } from '../src/system/command.ts';
import { testUnless } from './test-unless.ts';
import { joinFrames } from '../src/runtime/container/lifecycle.ts';
import { imageOf } from '../src/images.ts';
import { type ReservedPort, reservePorts } from '../src/system/ports.ts';
import { type ReadProcess, readProcFs, readPs } from '../src/system/process-table.ts';
import { redisConf } from '../src/servers/redis/node.ts';
import { encodeMessage, remaining } from '../src/watchdog/protocol.ts';

async function reservePort(random: Random): Promise<ReservedPort> {
  const [reserved] = await reservePorts(random, 1);
  if (reserved === undefined) throw new Error('none was reserved');
  return reserved;
}

test('a reserved port is not reserved again until it is released', async () => {
  const seed = 7;
  const first = await reservePort(seededRandom(seed));
  const second = await reservePort(seededRandom(seed));
  expect(second.port).not.toBe(first.port);
  await first.release();
  await second.release();
  const third = await reservePort(seededRandom(seed));
  expect(third.port).toBe(first.port);
  await third.release();
});

test('a port is reserved only together with the ports at its offsets', async () => {
  const seed = 13;
  const [alone] = await reservePorts(seededRandom(seed), 1, [10_000]);
  const port = alone?.port ?? 0;
  await alone?.release();
  const squatter = createServer().listen(port + 10_000, '127.0.0.1');
  await once(squatter, 'listening');
  try {
    const [elsewhere] = await reservePorts(seededRandom(seed), 1, [10_000]);
    expect(elsewhere?.port).not.toBe(port);
    expect(elsewhere?.port).toBeLessThan(32_768 - 10_000);
    await elsewhere?.release();
  } finally {
    squatter.close();
  }
});

test('a port with a listener is not reserved, and every reserved port is outside the range of outgoing connections', async () => {
  const seed = 11;
  const wanted = await reservePort(seededRandom(seed));
  await wanted.release();
  const squatter = createServer().listen(wanted.port, '127.0.0.1');
  await once(squatter, 'listening');
  try {
    const reserved = await reservePort(seededRandom(seed));
    expect(reserved.port).not.toBe(wanted.port);
    expect(reserved.port).toBeLessThan(32_768);
    expect(await reserved.isFree()).toBe(true);
    await reserved.release();
  } finally {
    squatter.close();
  }
});

const noPs = await commandFailure('ps', ['-p', String(process.pid)]);
const readers: readonly (readonly [string, ReadProcess, string | undefined])[] = [
  ['/proc', readProcFs, undefined],
  ['ps', readPs, noPs],
];

for (const [name, read, obstacle] of readers) {
  testUnless(obstacle)(
    `${name} distinguishes a process from its successor, frozen from running, and ended`,
    async () => {
      const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      try {
        const pid = child.pid ?? 0;
        const born = read(pid);
        expect(born).toMatchObject({ frozen: false, startTime: expect.stringMatching(/\d/) });
        child.kill('SIGSTOP');
        while (read(pid)?.frozen === false) await new Promise(setImmediate);
        expect(read(pid)).toEqual({ startTime: born?.startTime, frozen: true });
        child.kill('SIGKILL');
        await once(child, 'exit');
        expect(read(pid)).toBeUndefined();
      } finally {
        child.kill('SIGKILL');
      }
    },
  );
}

test('a resource that is guarded and not released is left to the watchdog; an incomplete last line is ignored', () => {
  const directory = { kind: 'directory', path: '/tmp/a' } as const;
  const server = { kind: 'process', pid: 7, startTime: '70' } as const;
  const messages = [
    encodeMessage({ kind: 'guard', id: 1, resource: directory }),
    encodeMessage({ kind: 'guard', id: 2, resource: server }),
    encodeMessage({ kind: 'release', id: 1 }),
    '{"kind":"guard","id":3,"resou',
  ];
  expect(remaining(messages.join(''))).toEqual([server]);
});

test('the caller’s settings override the defaults, and the stage’s endpoint overrides both', () => {
  const conf = redisConf({ appendonly: 'yes', maxmemory: '', port: '1' }, { port: '7000' });
  expect(conf.split('\n')).toEqual(['save ""', 'appendonly yes', 'maxmemory ""', 'port 7000', '']);
});

test('the frames of a container’s log are removed', () => {
  const frame = (stream: number, text: string): Buffer => {
    const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]);
    return Buffer.concat([header, Buffer.from(text)]);
  };
  const printed = joinFrames(Buffer.concat([frame(1, 'out\n'), frame(2, 'err\n'), frame(1, '')]));
  expect(printed.toString()).toBe('out\nerr\n');
});

test('an image is the pinned one of the compose file unless the environment names another', async () => {
  const pinned = imageOf('redis', {});
  expect(imageOf('redis', { HOLDFAST_IMAGE_REDIS: 'mirror/redis:1' })).toBe('mirror/redis:1');
  expect(imageOf('redis', { HOLDFAST_IMAGE_REDIS: '' })).toBe(pinned);
  const compose = await readFile(
    new URL('../../../docker-compose.test.yml', import.meta.url),
    'utf8',
  );
  expect(compose).toContain(`\${HOLDFAST_IMAGE_REDIS:-${pinned}}`);
});
