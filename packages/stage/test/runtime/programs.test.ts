/** Each optional program missing, and all of them: what is planned comes to pass, and the rest stands. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Told } from './programs-runner.ts';

const NOBODY = 65_534;
const RUNNER = join(import.meta.dirname, 'programs-runner.ts');
/** What a Redis is, and what one is fetched with. */
const REDIS = ['redis-server', 'valkey-server', 'apt-get'] as const;

/** What is hidden, what takes it, and what is to be installed. */
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
/** What each user is told with nothing hidden. */
const whole = new Map<string, readonly Told[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-programs-'));
  await chmod(folder, 0o755);
  for (const [user, uid] of users) whole.set(user, await toldWithout([], uid));
}, 120_000);
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

/** What a process tells that does not find these programs, nor a Redis, which takes long to fetch. */
async function toldWithout(hidden: readonly string[], uid?: number): Promise<readonly Told[]> {
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

/** What has to come of what was planned: nothing is refused but by a type and for the reason planned. */
const asPlanned = (told: readonly Told[]): object[] =>
  told.map(({ attempt, planned, came }) =>
    planned === 'done' || came === 'done'
      ? { attempt, planned: expect.stringMatching(/^(?:done|tried)$/), came: 'done' }
      : {
          attempt,
          planned,
          came: expect.stringContaining(planned === 'tried' ? '' : planned),
          code: expect.stringMatching(new RegExp(REFUSALS.join('|'))),
        },
  );

const outcomesOf = (told: readonly Told[]): Record<string, unknown> =>
  Object.fromEntries(
    told.map(({ attempt, came }) => [
      attempt,
      came.replace(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g, '<id>'),
    ]),
  );

const cells = [...users.keys()].flatMap((user) =>
  rows.map(([hidden, takers, install]) => ({ user, hidden, takers, install })),
);

test.each(cells)(
  'without $hidden, for $user: $takers is refused with what to install, and everything else works as before',
  async ({ user, hidden, takers, install }) => {
    const told = await toldWithout(hidden, users.get(user));
    expect(told).toEqual(asPlanned(told));
    const expected = outcomesOf(whole.get(user) ?? []);
    // Who may have no network of a server is told so before it comes to its packets.
    const isAsked = expected['a network'] === 'done' || hidden[0] !== 'tc';
    for (const taker of process.platform === 'linux' && isAsked ? takers : [])
      expected[taker] = expect.stringMatching(new RegExp(`\\b${hidden[0]}\\b.*${install}`));
    expect(outcomesOf(told)).toEqual(expected);
  },
  60_000,
);

test.each([...users.keys()])(
  'without any of them, for %s, a server runs, and each feature that requires one is refused with a typed error',
  async (user) => {
    const told = await toldWithout(all, users.get(user));
    expect(told).toEqual(asPlanned(told));
    expect(told.filter(({ came }) => came === 'done').map(({ attempt }) => attempt)).toEqual([
      'a server',
    ]);
  },
  60_000,
);
