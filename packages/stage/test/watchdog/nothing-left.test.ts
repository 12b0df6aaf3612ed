import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { checkNetworkNamespace } from '../../src/runtime/local/network-namespace.ts';
import { type TreeMember, freezeTree, isAlive } from '../../src/system/process-tree.ts';
import { containersWith, networksWith } from '../engine-session.ts';

const isDocker = process.env['HOLDFAST_STAGE'] === 'docker';
const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? (isDocker ? 8 : 50));
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 20_261_122);
const RUNNERS_AT_ONCE = 4;
/** From the start of a runner to shortly after its end. */
const LONGEST_LIFE_MS = isDocker ? 4_000 : 1_600;
/** Within two seconds on a machine that is not busy with anything else. */
const GONE_WITHIN_MS = 20_000;
const POLL_MS = 20;
const hasProcFs = existsSync('/proc/self/mounts');
const hasNetworks = (await checkNetworkNamespace()).available;
/** A crash, and Ctrl-C. */
const ENDS = ['SIGKILL', 'SIGINT'] as const;
/** Which of eight runners are ended once their stage is open: one by each end, one with networks. */
const OPENED: ReadonlySet<number> = new Set([3, 4]);

/** The remains of a runner: processes, folders, shared memory, mounts, control groups, containers. */
async function leftOf(folder: string, pid: number, tree: readonly TreeMember[]): Promise<string[]> {
  const segments = existsSync('/proc/sysvipc/shm')
    ? readFileSync('/proc/sysvipc/shm', 'latin1')
    : '';
  const makers = new Set(segments.split('\n').map((line) => Number(line.trim().split(/\s+/)[4])));
  return [
    ...tree.filter(isAlive).map((member) => `process ${member.pid}`),
    ...processesWith(folder).map((found) => `process ${found}`),
    ...readdirSync(folder).map((name) => `folder ${name}`),
    ...tree.filter((member) => makers.has(member.pid)).map((member) => `memory of ${member.pid}`),
    ...(hasProcFs && readFileSync('/proc/self/mounts', 'utf8').includes(folder) ? ['a mount'] : []),
    ...(isDocker ? await inEngine(pid) : []),
  ];
}

async function inEngine(pid: number): Promise<string[]> {
  const label = [`holdfast.runner=${pid}`];
  return [
    ...(await containersWith(label)).map((id) => `container ${id}`),
    ...(await networksWith(label)).map((id) => `network ${id}`),
  ];
}

/** Servers inherit the environment of their runner, and with it the name of its temporary folder. */
function processesWith(folder: string): string[] {
  // Elsewhere the tree of the runner is all that is known.
  return (hasProcFs ? readdirSync('/proc') : []).filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/environ`, 'utf8').includes(`TMPDIR=${folder}\0`);
    } catch {
      return false;
    }
  });
}

/** Ends a runner `lifeMs` after its start, or after it has opened its stage; resolves with its remains. */
async function endOne(
  from: 'start' | 'open',
  lifeMs: number,
  end: NodeJS.Signals,
  ownNetworks: boolean,
): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-nothing-left-'));
  // A Postgres that runs as another user has to pass through.
  await chmod(folder, 0o711);
  try {
    const program = fileURLToPath(new URL('./nothing-left-runner.ts', import.meta.url));
    const runner = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
      env: { ...process.env, TMPDIR: folder, OWN_NETWORKS: ownNetworks ? '1' : '0' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const pid = runner.pid ?? 0;
    if (from === 'open') {
      const [line] = await Promise.race([once(runner.stdout, 'data'), once(runner, 'exit')]);
      if (String(line) !== 'opened\n') throw new Error('a runner ended before its stage was open');
    }
    await sleep(systemClock, lifeMs);
    // It is frozen while its descendants are listed.
    runner.kill('SIGSTOP');
    const tree = await freezeTree(pid, () => sleep(systemClock, POLL_MS));
    for (const member of tree) if (member.pid !== pid) process.kill(member.pid, 'SIGCONT');
    runner.kill(end);
    runner.kill('SIGCONT');
    await once(runner, 'exit');
    const deadlineMs = systemClock.now() + GONE_WITHIN_MS;
    let left = await leftOf(folder, pid, tree);
    while (left.length > 0 && systemClock.now() < deadlineMs) {
      await sleep(systemClock, POLL_MS);
      left = await leftOf(folder, pid, tree);
    }
    return left;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test(`a runner that is killed or interrupted at a random instant leaves nothing behind, ${RUNS} times (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const lives = Array.from({ length: RUNS }, () => Math.floor(random() * LONGEST_LIFE_MS));
  const failures: string[] = [];
  const work = async (): Promise<void> => {
    for (let lifeMs = lives.pop(); lifeMs !== undefined; lifeMs = lives.pop()) {
      const end = ENDS[lives.length % ENDS.length] ?? 'SIGKILL';
      // Every other pair of them has networks, if this machine supports them.
      const ownNetworks = hasNetworks && lives.length % 4 < 2;
      // On a busy machine a runner would otherwise always be ended before its stage is open.
      const from = OPENED.has(lives.length % 8) ? 'open' : 'start';
      const afterMs = from === 'open' ? lifeMs / 4 : lifeMs;
      const left = await endOne(from, afterMs, end, ownNetworks);
      if (left.length > 0) {
        failures.push(`${end} ${afterMs} ms after its ${from}: ${left.join(', ')}`);
      }
    }
  };
  await Promise.all(Array.from({ length: RUNNERS_AT_ONCE }, work));
  expect(failures).toEqual([]);
}, 600_000);
