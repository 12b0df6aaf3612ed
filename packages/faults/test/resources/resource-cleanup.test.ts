/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createResourceFaults } from '@holdfast/faults';
import { systemClock } from '@holdfast/foundation';
import { obstacleTo, testUnless } from '../test-unless.ts';

const MODULE = join(import.meta.dirname, 'resource-victim.ts');
const OWNER = join(import.meta.dirname, 'resource-owner.ts');
const LONG_MS = 60_000;

let directory: string;
const started: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-cleanup-'));
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

/** Whether a process runs or is stopped; one that nobody has waited for has ended. */
async function isAlive(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') return isSignaled(pid);
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const state = /\) (\w)/.exec(text)?.[1] ?? 'X';
  return state !== 'X' && state !== 'Z';
}

/** Without /proc: an orphan that has ended is waited for at once. */
function isSignaled(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function untilEnded(pid: number): Promise<void> {
  while (await isAlive(pid)) await nextTurn();
}

/** Starts a process that takes resources, and resolves with it and the pid that it tells. */
async function startOwner(...args: readonly string[]) {
  const owner = spawn(process.execPath, [OWNER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(owner);
  let output = '';
  owner.stdout.on('data', (bytes) => (output += String(bytes)));
  while (!/ready \d+\n/.test(output)) {
    if (owner.exitCode !== null) throw new Error(`the owner ended: ${output}`);
    await nextTurn();
  }
  return { owner, pid: Number(/ready (\d+)/.exec(output)?.[1]) };
}

async function victimThat(state: 'spinning' | 'stopped') {
  const victim = createResourceFaults({ module: MODULE, responseTimeoutMs: 5_000 });
  await victim.faults.set('memory', { bytes: 1_000_000, forMs: LONG_MS });
  if (state === 'spinning') {
    victim.child.send('spin');
    await once(victim.child, 'message');
  } else {
    victim.child.kill('SIGSTOP');
  }
  return victim;
}

test.each(['spinning', 'stopped'] as const)(
  'close() ends a %s process and releases everything',
  async (state) => {
    const victim = await victimThat(state);
    await victim.faults.set('disk', { directory, bytes: 1_000_000, forMs: LONG_MS });
    const { pid = 0 } = victim.child;
    expect(await isAlive(pid)).toBe(true);
    const beganMs = systemClock.now();
    await victim.close();
    expect(await isAlive(pid)).toBe(false);
    expect(systemClock.now() - beganMs).toBeLessThan(5_000);
    expect(await readdir(directory)).toEqual([]);
  },
);

test('a stopped process that does not answer is told within the time limit, and its disk is freed all the same', async () => {
  const slow = createResourceFaults({ module: MODULE, responseTimeoutMs: 300 });
  slow.child.kill('SIGSTOP');
  const late = { code: 'FAULTS_RESOURCE_FAULT_FAILED', message: expect.stringContaining('300 ms') };
  try {
    await slow.faults.set('disk', { directory, bytes: 1_000_000, forMs: LONG_MS });
    await slow.faults.clear('disk');
    await expect(slow.faults.clear('memory')).rejects.toMatchObject(late);
    await expect(slow.heal()).rejects.toMatchObject(late);
    const set = slow.faults.set('cpu', { threads: 1, forMs: LONG_MS });
    await expect(set).rejects.toMatchObject(late);
  } finally {
    await slow.close();
  }
});

test.each(['idle', 'spinning', 'stopped'])(
  'a %s process ends with the one that started it, although that one is killed',
  async (state) => {
    const { owner, pid } = await startOwner(state, directory);
    expect(await isAlive(pid)).toBe(true);
    owner.kill('SIGKILL');
    await untilEnded(pid);
    expect(await readdir(directory)).toEqual([]);
  },
);

const onDescriptors = testUnless(await obstacleTo('descriptors'));
const onClock = testUnless(await obstacleTo('clock'));
const onFullDisk = testUnless(await obstacleTo('fullDisk'));

onDescriptors(
  'a lowered limit is restored although the process that lowered it is killed',
  async () => {
    const bystander = spawn('sleep', ['1000'], { stdio: 'ignore' });
    started.push(bystander);
    const limits = async (): Promise<string | undefined> => {
      const text = await readFile(`/proc/${bystander.pid}/limits`, 'utf8');
      return /Max open files +(\d+)/.exec(text)?.[1];
    };
    const before = await limits();
    const { owner } = await startOwner('limits', directory, String(bystander.pid));
    expect(await limits()).toBe('40');
    owner.kill('SIGKILL');
    while ((await limits()) !== before) await nextTurn();
  },
);

onFullDisk(
  'a process in a sandbox ends with the one that opened it, although that one is killed',
  async () => {
    const { owner, pid } = await startOwner('sandbox', directory);
    expect(await isAlive(pid)).toBe(true);
    owner.kill('SIGKILL');
    await untilEnded(pid);
  },
);

onClock(
  'a moved clock is set back although the process that moved it is killed, and nothing of it stays',
  async () => {
    const { owner, pid } = await startOwner('clock', directory);
    const [folder = ''] = await readdir(directory);
    const offset = await open(join(directory, folder, 'offset'));
    const read = async (): Promise<bigint> =>
      (await offset.read(Buffer.alloc(8), 0, 8, 0)).buffer.readBigInt64LE();
    try {
      expect(await read()).not.toBe(0n);
      owner.kill('SIGKILL');
      while ((await readdir(directory)).length > 0) await nextTurn();
      expect(await read()).toBe(0n);
    } finally {
      await offset.close();
      process.kill(pid, 'SIGKILL');
    }
  },
);
