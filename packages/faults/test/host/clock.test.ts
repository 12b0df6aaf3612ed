/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type PreparedClock, checkHostFault, prepareClock } from '@holdfast/faults';
import { obstacleTo, testUnless } from '../test-unless.ts';

const HOUR_MS = 3_600_000;
/** How far apart two readings may be taken on a machine that is busy. */
const TOLERANCE_MS = 60_000;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-clock-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

const { PATH, XDG_CACHE_HOME } = process.env;
afterEach(() => {
  for (const [name, value] of Object.entries({ PATH, XDG_CACHE_HOME })) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

const onClock = testUnless(await obstacleTo('clock'));

const READER = `
  process.stdin.on('data', () => console.log(Date.now() + ' ' + Math.round(performance.now())));
  console.log('ready');
`;

/** A process, and what it reads when it is asked: the wall clock and the monotonic one. */
interface Reader {
  readonly child: ChildProcess;
  readonly aheadMs: () => Promise<number>;
  readonly monotonicMs: () => Promise<number>;
}

/** Lets a process read the clock; both are gone afterwards. */
async function withReader(
  environmentOf: (clock: PreparedClock) => Readonly<Record<string, string>>,
  work: (clock: PreparedClock, reader: Reader) => Promise<void>,
): Promise<void> {
  const clock = await prepareClock();
  const child = spawn(process.execPath, ['-e', READER], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '', ...environmentOf(clock) },
  });
  const { stdin, stdout } = child;
  const ask = async (): Promise<number[]> => {
    const answer = once(stdout, 'data');
    stdin.write('?');
    return String((await answer)[0])
      .trim()
      .split(' ')
      .map(Number);
  };
  try {
    await once(stdout, 'data');
    await work(clock, {
      child,
      aheadMs: async () => ((await ask())[0] ?? Number.NaN) - Date.now(),
      monotonicMs: async () => (await ask())[1] ?? Number.NaN,
    });
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await clock.close();
  }
}

const moved = (clock: PreparedClock): Readonly<Record<string, string>> => clock.environment;

onClock(
  "the clock of a running process moves forward and back, and the machine's does not",
  async () => {
    await withReader(moved, async (clock, { child, aheadMs, monotonicMs }) => {
      expect(await clock.isReadBy(child.pid ?? 0)).toBe(true);
      expect(Math.abs(await aheadMs())).toBeLessThan(TOLERANCE_MS);
      await clock.step(2 * HOUR_MS);
      expect(Math.abs((await aheadMs()) - 2 * HOUR_MS)).toBeLessThan(TOLERANCE_MS);
      await clock.step(-5 * HOUR_MS);
      expect(clock.offsetMs).toBe(-3 * HOUR_MS);
      expect(Math.abs((await aheadMs()) + 3 * HOUR_MS)).toBeLessThan(TOLERANCE_MS);
      expect(await monotonicMs()).toBeLessThan(HOUR_MS);
      await clock.heal();
      expect(Math.abs(await aheadMs())).toBeLessThan(TOLERANCE_MS);
      await clock.step(HOUR_MS);
      await clock.close();
      expect(Math.abs(await aheadMs())).toBeLessThan(TOLERANCE_MS);
    });
  },
);

onClock('fractions of seconds carry and borrow in both directions', async () => {
  await withReader(moved, async (clock, { aheadMs }) => {
    for (const byMs of [1, 999, -1_999, 500, -500, 999_999_999, -999_999_998]) {
      await clock.step(byMs);
      expect(Math.abs((await aheadMs()) - clock.offsetMs)).toBeLessThan(TOLERANCE_MS);
    }
  });
});

onClock(
  'a process started without the variables does not read the clock, and isReadBy reports it',
  async () => {
    await withReader(
      () => ({}),
      async (clock, { child, aheadMs }) => {
        await clock.step(HOUR_MS);
        expect(Math.abs(await aheadMs())).toBeLessThan(TOLERANCE_MS);
        expect(await clock.isReadBy(child.pid ?? 0)).toBe(false);
      },
    );
  },
);

onClock('a closed clock does not move, leaves no file, and can be closed twice', async () => {
  const directory = await mkdtemp(join(folder, 'closed-'));
  const clock = await prepareClock({ directory });
  expect(await readdir(directory)).toHaveLength(1);
  await clock.close();
  await clock.close();
  await clock.heal();
  expect(await readdir(directory)).toEqual([]);
  await expect(clock.step(1)).rejects.toMatchObject({ code: 'FAULTS_CLOCK_CLOSED' });
});

onClock(
  'a step that is not a whole number of milliseconds, or exceeds a century, is refused',
  async () => {
    const clock = await prepareClock();
    try {
      const given: { step(byMs: unknown): Promise<void> } = clock;
      for (const byMs of [Number.NaN, 0.5, '5', undefined, 1e15]) {
        await expect(given.step(byMs)).rejects.toMatchObject({
          code: 'INVALID_OPTION',
          field: 'byMs',
        });
      }
      await clock.step(3e12);
      await expect(clock.step(3e12)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
      expect(clock.offsetMs).toBe(3e12);
    } finally {
      await clock.close();
    }
  },
);

test('a static program, a missing one, and a missing compiler are refused with the reason', async () => {
  // The header of a program of 64 bits whose only segment is loaded and names no dynamic linker.
  const program = Buffer.alloc(64 + 56);
  program.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  program.writeBigUInt64LE(64n, 32);
  program.writeUInt16LE(56, 54);
  program.writeUInt16LE(1, 56);
  program.writeUInt32LE(1, 64);
  const file = join(folder, 'static');
  await writeFile(file, program, { mode: 0o755 });
  const isLinux = process.platform === 'linux';
  const refused = (reason: string): object => ({
    available: false,
    reason: expect.stringContaining(isLinux ? reason : 'Linux'),
    remedy: expect.any(String),
  });
  expect(await checkHostFault('clock', file)).toEqual(refused('static'));
  expect(await checkHostFault('clock', 'no-such-program')).toEqual(refused('not on PATH'));
  process.env['XDG_CACHE_HOME'] = join(folder, 'empty');
  process.env['PATH'] = folder;
  expect(await checkHostFault('clock')).toEqual(refused('no C compiler'));
});

/** Takes the place of the compiler. */
async function compilerThat(does: string): Promise<void> {
  const bin = await mkdtemp(join(folder, 'bin-'));
  await writeFile(join(bin, 'cc'), `#!/bin/sh\n${does}\n`);
  await chmod(join(bin, 'cc'), 0o755);
  process.env['PATH'] = bin;
  process.env['XDG_CACHE_HOME'] = await mkdtemp(join(folder, 'cache-'));
}

test('a library that does not compile, or moves no clock, is refused with the reason and not kept', async () => {
  if (process.platform !== 'linux') return;
  await compilerThat('echo "stdlib.h: not found" >&2; exit 1');
  expect(await checkHostFault('clock')).toMatchObject({
    available: false,
    reason: expect.stringContaining('stdlib.h: not found'),
  });
  await compilerThat('while [ "$1" != -o ]; do shift; done; : > "$2"');
  expect(await checkHostFault('clock')).toMatchObject({
    available: false,
    reason: expect.stringContaining('keeps its clock'),
  });
  const kept = join(process.env['XDG_CACHE_HOME'] ?? '', 'holdfast', 'clock');
  await access(kept);
  expect(await readdir(kept)).toEqual([]);
});
