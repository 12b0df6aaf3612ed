/** Checks are compared with outcomes while each optional program, or all of them, are missing, for root and for others. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Attempt, AttemptReport } from './host-check-runner.ts';

const NOBODY = 65_534;
const RUNNER = join(import.meta.dirname, 'host-check-runner.ts');

/** The hidden programs, the faults that need them, and the package to install. */
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
const users = new Map<string, number | undefined>([['the user of the tests', process.getuid?.()]]);
if (
  process.getuid?.() === 0 &&
  (await isOpenToAll(import.meta.dirname)) &&
  (await isOpenToAll(process.execPath))
)
  users.set('an unprivileged user', NOBODY);
/** The reports of each user with all programs. */
const complete = new Map<string, readonly AttemptReport[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-programs-'));
  await chmod(folder, 0o755);
  for (const [user, uid] of users) complete.set(user, await reportsWithout([], uid));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Returns whether everybody may read a file, which an unprivileged user must. */
async function isOpenToAll(file: string): Promise<boolean> {
  for (let path = file; path !== dirname(path); path = dirname(path)) {
    if (((await stat(path)).mode & 0o5) !== 0o5) return false;
  }
  return true;
}

/** Creates a folder of links to all programs on PATH but the hidden ones. */
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

/** Returns the reports of a process that does not find these programs. */
async function reportsWithout(
  hidden: readonly string[],
  uid?: number,
): Promise<readonly AttemptReport[]> {
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

/** The outcomes that match the checks: a refusal has its type and the reason of the check. */
const matching = (reports: readonly AttemptReport[], uid: number | undefined): object[] =>
  reports.map(({ attempt, expected }) =>
    expected === 'done'
      ? { attempt, expected, outcome: 'done', user: uid }
      : {
          attempt,
          expected,
          outcome: expect.stringContaining(expected),
          code: 'FAULTS_HOST_FAULT_UNAVAILABLE',
          user: uid,
        },
  );

const checksOf = (reports: readonly AttemptReport[]): Record<string, unknown> =>
  Object.fromEntries(reports.map(({ attempt, expected }) => [attempt, expected]));

const cells = [...users.keys()].flatMap((user) =>
  rows.map(([hidden, takers, install]) => ({ user, hidden, takers, install })),
);

test.each(cells)(
  'without $hidden, for $user, $takers is refused with what to install, and the other faults do not change',
  async ({ user, hidden, takers, install }) => {
    const reports = await reportsWithout(hidden, users.get(user));
    expect(reports).toEqual(matching(reports, users.get(user)));
    const refusal = new RegExp(`\\bno .*\\b${hidden[0]}\\b.* on PATH; install .*${install}`);
    const expected = checksOf(complete.get(user) ?? []);
    for (const taker of process.platform === 'linux' ? takers : []) {
      // Of two faults at once, the other's reason may come first where this machine lacks that one too.
      const isOther = taker === 'partition beside a disk' && expected[taker] !== 'done';
      expected[taker] = expect.stringMatching(isOther ? /\w \w/ : refusal);
    }
    expect(checksOf(reports)).toEqual(expected);
  },
);

test.each([...users.keys()])(
  'with all programs, for %s, every outcome matches its check',
  (user) => {
    const reports = complete.get(user) ?? [];
    expect(reports).toHaveLength(6);
    expect(reports).toEqual(matching(reports, users.get(user)));
  },
);

test.each([...users.keys()])(
  'without any of them, for %s, each fault is refused with the missing program',
  async (user) => {
    const reports = await reportsWithout(all, users.get(user));
    expect(reports).toEqual(matching(reports, users.get(user)));
    for (const { expected } of reports) expect(expected).toMatch(/on PATH; install|it takes Linux/);
  },
);
