/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';
import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { listWorkingIn, readProcess } from '../../src/system/process-table.ts';
import { mayMount } from '../limits/may-mount.ts';
import { testUnless } from '../test-unless.ts';
import { type Holdings, leftOf } from '../servers/postgres-session.ts';
import { redisValue } from '../servers/redis-contract.ts';

/** How long after the end of the runner its servers may still run. */
const REMOVAL_TIMEOUT_MS = 15_000;
const POLL_MS = 10;

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const limit = AbortSignal.timeout(REMOVAL_TIMEOUT_MS);
  while (!(await holds())) await sleep(systemClock, POLL_MS, limit);
}

async function refusesConnections(address: { host: string; port: number }): Promise<boolean> {
  try {
    await redisValue(address, ['PING']);
    return false;
  } catch (error) {
    return types.isNativeError(error) && 'code' in error && error.code === 'ECONNREFUSED';
  }
}

interface Opened {
  readonly mode: string;
  readonly port: number;
  readonly pid: string;
  readonly conf: string;
}

test('a server does not outlive a runner that is killed by SIGKILL, nor does its folder', async () => {
  const program = fileURLToPath(new URL('./watchdog-runner.ts', import.meta.url));
  const runner = spawn(process.execPath, [program], {
    env: { ...process.env, HOLDFAST_STAGE: process.env['HOLDFAST_STAGE'] ?? 'local' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    const [line]: string[] = await once(createInterface(runner.stdout), 'line');
    const opened: Opened = JSON.parse(line ?? '');
    const address = { host: '127.0.0.1', port: opened.port };
    expect(await redisValue(address, ['PING'])).toBe('PONG');

    runner.kill('SIGKILL');
    await once(runner, 'exit');

    await until(() => refusesConnections(address));
    // In a container both names are those of its own small world.
    if (opened.mode === 'local') {
      const folder = dirname(opened.conf);
      await until(() => readProcess(Number(opened.pid)) === undefined && !existsSync(folder));
    }
  } finally {
    runner.kill('SIGKILL');
  }
}, 60_000);

test('a frozen Postgres does not outlive a runner that is killed, nor its folder and shared memory', async () => {
  const program = fileURLToPath(new URL('./watchdog-postgres-runner.ts', import.meta.url));
  const runner = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [line]: string[] = await once(createInterface(runner.stdout), 'line');
    const holdings: Holdings = JSON.parse(line ?? '');
    expect(leftOf(holdings)).toHaveLength(2);

    runner.kill('SIGKILL');
    await once(runner, 'exit');

    const { postmaster, others } = holdings;
    const isGone = (pid: number): boolean => readProcess(pid) === undefined;
    await until(() => [postmaster, ...others].every(isGone) && leftOf(holdings).length === 0);
  } finally {
    runner.kill('SIGKILL');
  }
}, 60_000);

testUnless((await mayMount()) ? undefined : 'this user may not mount')(
  'a full disk, a server that spins and one that is frozen do not outlive a runner that is killed',
  async () => {
    const program = fileURLToPath(new URL('./watchdog-filled-runner.ts', import.meta.url));
    const runner = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      const [line]: string[] = await once(createInterface(runner.stdout), 'line');
      const { folders }: { folders: string[] } = JSON.parse(line ?? '');
      const mounts = (): string => readFileSync('/proc/self/mounts', 'utf8');
      for (const folder of folders) {
        expect(mounts()).toContain(` ${folder} `);
        expect(listWorkingIn(folder).length).toBeGreaterThan(0);
      }

      runner.kill('SIGKILL');
      await once(runner, 'exit');

      await until(() =>
        folders.every(
          (folder) =>
            !mounts().includes(` ${folder} `) &&
            listWorkingIn(folder).length === 0 &&
            !existsSync(dirname(folder)),
        ),
      );
    } finally {
      runner.kill('SIGKILL');
    }
  },
  60_000,
);
