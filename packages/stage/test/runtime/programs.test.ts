/** Hides each optional program, and all of them: the outcome is as planned, and everything else works. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Attempt } from './programs-runner.ts';

const NOBODY = 65_534;
const RUNNER = join(import.meta.dirname, 'programs-runner.ts');
/** The executables of Redis, and the one that fetches it. */
const REDIS = ['redis-server', 'valkey-server', 'apt-get'] as const;

/** What is hidden, what requires it, and what to install. */
const rows: readonly (readonly [readonly string[], readonly string[], string])[] = [
  [['nsenter'], ['a network', 'packets'], 'util-linux'],
  [['unshare'], ['a network', 'packets'], 'util-linux'],
  [['ip'], ['a network', 'packets'], 'iproute2'],
  [['tc'], ['packets'], 'iproute2'],
  [['cc', 'gcc', 'clang', 'tcc'], ['a clock'], 'gcc'],
  [['mount'], ['a disk'], 'mount'],
  [['prlimit'], ['an address space'], 'util-linux'],
  [['git'], ['git'], 'git'],
  [[...REDIS], ['a Redis'], 'redis-server'],
  [['iptables', 'setpriv', 'docker', 'postgres', 'initdb', 'ps'], [], 'nothing'],
];
const all = rows.flatMap(([names]) => names);
const REFUSALS = ['STAGE_FAULT_UNSUPPORTED', 'STAGE_GIT_NOT_FOUND', 'STAGE_REDIS_NOT_FOUND'];

let folder = '';
const users = new Map<string, number | undefined>([['who runs the tests', process.getuid?.()]]);
if (
  process.getuid?.() === 0 &&
  (await isOpenToAll(import.meta.dirname)) &&
  (await isOpenToAll(process.execPath))
)
  users.set('an unprivileged user', NOBODY);
/** The attempts of each user with nothing hidden. */
const whole = new Map<string, readonly Attempt[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-programs-'));
  await chmod(folder, 0o755);
  for (const [user, uid] of users) whole.set(user, await attemptsWithout([], uid));
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Whether all users may read a file, which an unprivileged user has to start. */
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

/** The attempts of a process without these programs and without a Redis, which takes long to fetch. */
async function attemptsWithout(
  hidden: readonly string[],
  uid?: number,
): Promise<readonly Attempt[]> {
  const isOther = uid !== undefined && uid !== process.getuid?.();
  // A library that was compiled before needs no compiler.
  const cache = join(folder, `cache-${uid}${hidden.includes('cc') ? '-empty' : ''}`);
  await mkdir(cache, { recursive: true });
  await chmod(cache, 0o777);
  const PATH = await programsWithout([...hidden, ...REDIS]);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', RUNNER], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '', PATH, HOME: cache, XDG_CACHE_HOME: cache },
    ...(isOther ? { uid, gid: uid } : {}),
  });
  return JSON.parse(await text(child.stdout));
}

/** The expected outcomes: a refusal has a typed error and the planned reason. */
const asPlanned = (attempts: readonly Attempt[]): object[] =>
  attempts.map(({ attempt, planned, outcome }) =>
    planned === 'done' || outcome === 'done'
      ? { attempt, planned: expect.stringMatching(/^(?:done|tried)$/), outcome: 'done' }
      : {
          attempt,
          planned,
          outcome: expect.stringContaining(planned === 'tried' ? '' : planned),
          code: expect.stringMatching(new RegExp(REFUSALS.join('|'))),
        },
  );

const outcomesOf = (attempts: readonly Attempt[]): Record<string, unknown> =>
  Object.fromEntries(
    attempts.map(({ attempt, outcome }) => [
      attempt,
      outcome.replace(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g, '<id>'),
    ]),
  );

const cells = [...users.keys()].flatMap((user) =>
  rows.map(([hidden, takers, install]) => ({ user, hidden, takers, install })),
);

test.each(cells)(
  'without $hidden, for $user: $takers is refused with what to install, and everything else works as before',
  async ({ user, hidden, takers, install }) => {
    const attempts = await attemptsWithout(hidden, users.get(user));
    expect(attempts).toEqual(asPlanned(attempts));
    const expected = outcomesOf(whole.get(user) ?? []);
    // A user without the right to a network is refused before packets are tried.
    const isAsked = expected['a network'] === 'done' || hidden[0] !== 'tc';
    const named = new RegExp(`\\b${hidden[0]}\\b.*${install}`);
    for (const taker of process.platform === 'linux' && isAsked ? takers : []) {
      // Where this machine lacks another program, that one may be named first.
      const isAnother = String(expected[taker]).includes('not on PATH');
      expected[taker] = expect.stringMatching(isAnother ? /not on PATH/ : named);
    }
    expect(outcomesOf(attempts)).toEqual(expected);
  },
  60_000,
);

test.each([...users.keys()])(
  'without any of them, for %s, a server runs, and each feature that requires one is refused with a typed error',
  async (user) => {
    const attempts = await attemptsWithout(all, users.get(user));
    expect(attempts).toEqual(asPlanned(attempts));
    expect(
      attempts.filter(({ outcome }) => outcome === 'done').map(({ attempt }) => attempt),
    ).toEqual(['a server']);
  },
  60_000,
);
