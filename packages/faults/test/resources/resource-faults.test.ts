/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { once } from 'node:events';
import { mkdtemp, readdir, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  type ResourceVictim,
  createResourceFaults,
  limitDescriptors,
  checkHostFault,
} from '@holdfast/faults';
import { systemClock } from '@holdfast/foundation';
import { testUnless } from '../test-unless.ts';

const MODULE = join(import.meta.dirname, 'resource-victim.ts');
const LONG_MS = 60_000;
const HOUR_MS = 3_600_000;
const MIB = 1_048_576;

interface Condition {
  epochMs: number;
  writtenMs: number;
  upMs: number;
  rssBytes: number;
  stalledMs: number;
  cpuMs: number;
  canOpen: boolean;
  descriptors: number;
}

let victim: ResourceVictim;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-resources-'));
  victim = createResourceFaults({ module: MODULE });
});
afterEach(async () => {
  await victim.close();
  await rm(directory, { recursive: true, force: true });
});

function isCondition(message: unknown): message is Condition {
  return typeof message === 'object' && message !== null && 'rssBytes' in message;
}

async function condition(): Promise<Condition> {
  victim.child.send('how is it?');
  while (true) {
    const [message]: unknown[] = await once(victim.child, 'message');
    if (isCondition(message)) return message;
  }
}

test('memory is resident, and released when the fault is cleared', async () => {
  const before = await condition();
  await victim.faults.set('memory', { bytes: 100 * MIB, forMs: LONG_MS });
  const during = await condition();
  expect(during.rssBytes - before.rssBytes).toBeGreaterThan(60 * MIB);
  await victim.faults.clear('memory');
  while ((await condition()).rssBytes - before.rssBytes > 60 * MIB) await condition();
});

test('the event loop is blocked for the requested time', async () => {
  // Only a gap after its first measurement is seen.
  while ((await condition()).stalledMs === 0) await condition();
  const beganMs = systemClock.now();
  await victim.faults.set('stall', { forMs: 2_000 });
  expect(systemClock.now() - beganMs).toBeGreaterThan(1_990);
  while ((await condition()).stalledMs < 1_900) await condition();
});

test('threads are busy until their time is over', async () => {
  const { cpuMs } = await condition();
  await victim.faults.set('cpu', { threads: 2, forMs: 400 });
  let now = await condition();
  while (now.cpuMs - cpuMs < 200) now = await condition();
  await victim.faults.set('cpu', { threads: 1, forMs: LONG_MS });
  await victim.heal();
  // Both asks cost a little themselves.
  const [one, other] = [await condition(), await condition()];
  expect(other.cpuMs - one.cpuMs).toBeLessThan(200);
});

/** The open files of this process in the directory, also those without a name. */
async function ballasts(): Promise<number[]> {
  const descriptors = (await readdir('/proc/self/fd')).map((name) => join('/proc/self/fd', name));
  const paths = await Promise.all(descriptors.map((each) => readlink(each).catch(() => '')));
  const own = descriptors.filter((_, index) => paths[index]?.startsWith(directory) === true);
  // A descriptor may be closed meanwhile, as the file of a fault that has just ended.
  const sizes = own.map((each) =>
    stat(each).then(
      ({ size }) => size,
      () => undefined,
    ),
  );
  return (await Promise.all(sizes)).filter((size) => size !== undefined);
}

const onLinux = testUnless(
  process.platform === 'linux' ? undefined : 'only Linux shows the files without a name, in /proc',
);

onLinux(
  'space of the disk is taken by a file without a name, and is free with the end of the fault and of the process',
  async () => {
    await victim.faults.set('disk', { directory, bytes: 5 * MIB, forMs: LONG_MS });
    expect(await ballasts()).toEqual([5 * MIB]);
    expect(await readdir(directory)).toEqual([]);
    await victim.faults.clear('disk');
    expect(await ballasts()).toEqual([]);
    await victim.faults.set('disk', { directory, bytes: MIB, forMs: 20 });
    while ((await ballasts()).length > 0) await condition();
    await victim.faults.set('disk', { directory, bytes: MIB, forMs: LONG_MS });
    await victim.faults.set('disk', { directory, bytes: 2 * MIB, forMs: LONG_MS });
    expect(await ballasts()).toEqual([2 * MIB]);
    victim.child.kill('SIGKILL');
    await once(victim.child, 'exit');
    while ((await ballasts()).length > 0) await nextTurn();
    await expect(
      victim.faults.set('disk', { directory, bytes: MIB, forMs: LONG_MS }),
    ).rejects.toMatchObject({ code: 'FAULTS_RESOURCE_FAULT_FAILED' });
  },
);

onLinux('a disk fault is cleared while it is still being written', async () => {
  const taking = victim.faults.set('disk', { directory, bytes: 2 ** 33, forMs: LONG_MS });
  while ((await ballasts()).length === 0) await nextTurn();
  await victim.faults.clear('disk');
  await expect(taking).rejects.toMatchObject({ code: 'FAULTS_RESOURCE_FAULT_FAILED' });
  expect(await ballasts()).toEqual([]);
});

test('descriptors run out, and are released', async () => {
  const { descriptors } = await condition();
  await victim.faults.set('descriptors', { count: 50, forMs: LONG_MS });
  expect((await condition()).descriptors).toBe(descriptors + 50);
  await victim.heal();
  expect((await condition()).descriptors).toBe(descriptors);
  const plan = await checkHostFault('descriptors');
  if (plan.available) await limitDescriptors({ pid: victim.child.pid ?? 0, maxOpen: 100 });
  await victim.faults.set('descriptors', { count: 1_000, forMs: LONG_MS });
  expect((await condition()).canOpen).toBe(!plan.available);
  await victim.heal();
  expect((await condition()).descriptors).toBe(descriptors);
});

test('the wall clock steps and monotonic clocks do not, and it steps back after its time', async () => {
  const before = await condition();
  await victim.faults.set('clock', { stepMs: HOUR_MS, forMs: LONG_MS });
  const during = await condition();
  expect(during.epochMs - before.epochMs).toBeGreaterThanOrEqual(HOUR_MS);
  expect(during.writtenMs - during.epochMs).toBeLessThan(HOUR_MS);
  expect(during.upMs - before.upMs).toBeLessThan(HOUR_MS);
  await victim.faults.set('clock', { stepMs: -HOUR_MS, forMs: 30 });
  while ((await condition()).epochMs < before.epochMs) await condition();
  expect((await condition()).epochMs - before.epochMs).toBeLessThan(HOUR_MS);
});

test('a fault of an ended process is rejected', async () => {
  await victim.close();
  const late = victim.faults.set('memory', { bytes: 1, forMs: 1 });
  await expect(late).rejects.toMatchObject({ code: 'FAULTS_RESOURCE_FAULT_FAILED' });
  await victim.close();
});

test('a fault that fails is rejected with the reason', async () => {
  const nowhere = join(directory, 'missing');
  const fault = victim.faults.set('disk', { directory: nowhere, bytes: 1, forMs: LONG_MS });
  await expect(fault).rejects.toThrow('ENOENT');
});

test('unbounded or unknown faults are refused', async () => {
  const faults: { set(kind: string, options: object): Promise<void> } = victim.faults;
  const field = (name: string): object => ({ code: 'INVALID_OPTION', field: name });
  await expect(faults.set('memory', { bytes: 1 })).rejects.toMatchObject(field('forMs'));
  await expect(faults.set('memory', { bytes: 2 ** 50, forMs: 1 })).rejects.toMatchObject(
    field('bytes'),
  );
  await expect(faults.set('clock', { stepMs: 0, forMs: 1 })).rejects.toMatchObject(field('stepMs'));
  await expect(faults.set('meteor', {})).rejects.toMatchObject(field('kind'));
});
