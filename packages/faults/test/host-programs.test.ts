/** Each optional program missing, and all of them: what is planned comes to pass, for root and for others. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Attempt, Told } from './host-plan-runner.ts';

const NOBODY = 65_534;
const RUNNER = join(import.meta.dirname, 'host-plan-runner.ts');

/** What is hidden, the faults that take it, and what is to be installed. */
const rows: readonly (readonly [readonly string[], readonly Attempt[], string])[] = [
  [['iptables'], ['partition', 'partition beside a disk'], 'iptables'],
  [['ip'], ['partition', 'partition beside a disk'], 'iproute2'],
  [['nsenter'], ['partition', 'partition beside a disk', 'fullDisk'], 'util-linux'],
  [['unshare'], ['partition', 'partition beside a disk', 'fullDisk'], 'util-linux'],
  [['mount'], ['partition beside a disk', 'fullDisk'], 'mount'],
  [['setpriv'], ['connectHang'], 'util-linux'],
  [['prlimit'], ['descriptors'], 'util-linux'],
  [['cc', 'gcc', 'clang', 'tcc'], ['clock'], 'gcc'],
];
const all = rows.flatMap(([names]) => names);

let folder = '';
const users = new Map<string, number | undefined>([['who runs the tests', process.getuid?.()]]);
if (
  process.getuid?.() === 0 &&
  (await isOpenToAll(import.meta.dirname)) &&
  (await isOpenToAll(process.execPath))
)
  users.set('an unprivileged user', NOBODY);
/** What each user is told with nothing hidden. */
const whole = new Map<string, readonly Told[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-programs-'));
  await chmod(folder, 0o755);
  for (const [user, uid] of users) whole.set(user, await toldWithout([], uid));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Whether everybody may read a file: an unprivileged user starts there. */
async function isOpenToAll(file: string): Promise<boolean> {
  for (let path = file; path !== dirname(path); path = dirname(path)) {
    if (((await stat(path)).mode & 0o5) !== 0o5) return false;
  }
  return true;
}

/** A folder of links to all programs on PATH but those of these names. */
async function programsWithout(hidden: readonly string[]): Promise<string> {
  const bin = await mkdtemp(join(folder, 'bin-'));
  await chmod(bin, 0o755);
  const linked = new Set(hidden);
  for (const from of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of await readdir(from).catch(() => [])) {
      if (linked.has(name)) continue;
      linked.add(name);
      await symlink(join(from, name), join(bin, name));
    }
  }
  return bin;
}

/** What a process tells that does not find these programs. */
async function toldWithout(hidden: readonly string[], uid?: number): Promise<readonly Told[]> {
  // A library that was compiled before needs no compiler.
  const cache = join(folder, `cache-${uid}${hidden.includes('cc') ? '-empty' : ''}`);
  await mkdir(cache, { recursive: true });
  await chmod(cache, 0o777);
  const PATH = await programsWithout(hidden);
  const child = spawn(process.execPath, [RUNNER], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '', PATH, HOME: cache, XDG_CACHE_HOME: cache },
    ...(uid === undefined || uid === process.getuid?.() ? {} : { uid, gid: uid }),
  });
  return JSON.parse(await text(child.stdout));
}

/** What has to come of what was planned: nothing is refused but by its type and for the reason planned. */
const asPlanned = (told: readonly Told[], uid: number | undefined): object[] =>
  told.map(({ attempt, planned }) =>
    planned === 'done'
      ? { attempt, planned, came: 'done', user: uid }
      : {
          attempt,
          planned,
          came: expect.stringContaining(planned),
          code: 'FAULTS_HOST_FAULT_UNAVAILABLE',
          user: uid,
        },
  );

const plansOf = (told: readonly Told[]): Record<string, unknown> =>
  Object.fromEntries(told.map(({ attempt, planned }) => [attempt, planned]));

const cells = [...users.keys()].flatMap((user) =>
  rows.map(([hidden, takers, install]) => ({ user, hidden, takers, install })),
);

test.each(cells)(
  'without $hidden, for $user: $takers is refused with what to install, and all else is as it was',
  async ({ user, hidden, takers, install }) => {
    const told = await toldWithout(hidden, users.get(user));
    expect(told).toEqual(asPlanned(told, users.get(user)));
    const refusal = new RegExp(`\\bno .*\\b${hidden[0]}\\b.* on PATH; install .*${install}`);
    const expected = plansOf(whole.get(user) ?? []);
    for (const taker of process.platform === 'linux' ? takers : [])
      expected[taker] = expect.stringMatching(refusal);
    expect(plansOf(told)).toEqual(expected);
  },
);

test.each([...users.keys()])(
  'with all programs there are, for %s, what is planned comes to pass',
  (user) => {
    const told = whole.get(user) ?? [];
    expect(told).toHaveLength(6);
    expect(told).toEqual(asPlanned(told, users.get(user)));
  },
);

test.each([...users.keys()])(
  'without any of them, for %s, each fault is refused with what is missing',
  async (user) => {
    const told = await toldWithout(all, users.get(user));
    expect(told).toEqual(asPlanned(told, users.get(user)));
    for (const { planned } of told) expect(planned).toMatch(/on PATH; install|it takes Linux/);
  },
);
