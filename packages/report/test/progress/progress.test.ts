import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { channel } from 'node:diagnostics_channel';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Clock, environment } from '@holdfast/foundation';
import { type ScenarioRecord, announceServers, planTestFiles } from '@holdfast/report';
import { readDurations, timeToGo } from '../../src/progress/durations.ts';
import { Progress } from '../../src/progress/progress.ts';
import { displayWidth } from '../../src/render/width.ts';
import { killedRedis } from '../sample.ts';

let directory = '';
let records = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-progress-'));
  records = join(directory, 'records');
  mkdirSync(records);
});
afterEach(() => {
  planTestFiles([]);
  rmSync(directory, { recursive: true, force: true });
});

/** A clock that stays until it is moved; its timers are never called. */
function fixedClock(): Clock & { atMs: number } {
  return {
    atMs: 0,
    now() {
      return this.atMs;
    },
    epochMs: () => 0,
    schedule: () => ({ cancel: () => undefined }),
  };
}

function open(terminal: { isTTY: boolean; columns?: number }): {
  progress: Progress;
  clock: ReturnType<typeof fixedClock>;
  printed: () => string;
  lines: () => string[];
} {
  let text = '';
  const clock = fixedClock();
  const output = { ...terminal, write: (piece: string) => (text += piece) };
  const progress = new Progress({ output, clock, rootDirectory: directory, directory, records });
  return { progress, clock, printed: () => text, lines: () => text.split('\n').slice(0, -1) };
}

const fileOf = (name: string): string => join(directory, 'suites', 'test', name);
const say = (scenario: ScenarioRecord, process = '1'): void =>
  appendFileSync(join(records, `${process}.jsonl`), `\n${JSON.stringify(scenario)}\n`);
const passed = { skipped: 0, failure: undefined, console: [] };
const redis = 'redis-failover/outages.test.ts';
const postgres = 'database-recovery/outages.test.ts';

test('a scenario has a line when it begins, and one when it ends with what was lost and how soon it recovered', () => {
  const { progress, lines } = open({ isTTY: false, columns: 200 });
  progress.runStarts(1);
  progress.fileStarts(fileOf(redis));
  progress.testStarts(fileOf(redis), killedRedis.scenario);
  say(killedRedis);
  progress.testEnds(fileOf(redis), killedRedis.scenario, 'passed', 3_900);
  progress.fileEnds(fileOf(redis), { ...passed, skipped: 2 });
  progress.end();
  expect(lines()).toEqual([
    '1 test file',
    `1 begins redis-failover: ${killedRedis.scenario}`,
    '1 ok lost 0 of 4210, detected 12 ms, recovered 3.4 s, in 3.9 s: ' +
      `redis-failover: ${killedRedis.scenario}`,
    `skipped 2 in suites/test/${redis}`,
  ]);
});

test('files that run at a time: each scenario is on the line of its own test', () => {
  const { progress, lines } = open({ isTTY: false, columns: 200 });
  progress.runStarts(2);
  for (const [file, name] of [
    [redis, 'a Redis dies'],
    [postgres, 'a Postgres dies'],
  ] as const) {
    progress.fileStarts(fileOf(file));
    progress.testStarts(fileOf(file), name);
  }
  say({ ...killedRedis, scenario: 'a Postgres dies', family: 'database-recovery', lost: 7 }, '2');
  say({ ...killedRedis, scenario: 'a Redis dies' }, '1');
  say({ ...killedRedis, scenario: 'named by nobody', detectedAfterMs: undefined }, '1');
  progress.testEnds(fileOf(postgres), 'a Postgres dies', 'passed', 100);
  progress.testEnds(fileOf(redis), 'a Redis dies', 'failed', 100);
  progress.end();
  expect(lines().slice(1)).toEqual([
    '1 begins redis-failover: a Redis dies',
    '2 begins database-recovery: a Postgres dies',
    '2 BROKEN lost 7 of 4210, detected 12 ms, recovered 3.4 s, in 100 ms: database-recovery: a Postgres dies',
    '1 FAILED lost 0 of 4210, detected 12 ms, recovered 3.4 s, in 100 ms: redis-failover: a Redis dies',
    'ok lost 0 of 4210, recovered 3.4 s: redis-failover: named by nobody',
  ]);
});

const longest = '接続が切れた '.repeat(60).trim();

test.each([
  [40, true],
  [80, true],
  [200, true],
  [40, false],
  [80, false],
  [200, false],
])('on %d columns no line is wider, terminal: %s', (columns, isTTY) => {
  const { progress, printed } = open({ isTTY, columns });
  progress.runStarts(3);
  progress.fileStarts(fileOf(redis));
  progress.testStarts(fileOf(redis), longest);
  say({ ...killedRedis, scenario: longest.slice(0, 200) });
  progress.testEnds(fileOf(redis), longest, 'failed', 1);
  const console = [{ type: 'log', message: `${'x'.repeat(999)}\n\u001B[31m${'y '.repeat(400)}` }];
  progress.fileEnds(fileOf(redis), { skipped: 1, failure: `● ${longest}\n${longest}`, console });
  progress.end();
  // A bar is replaced on its line.
  const shown = printed()
    .split(/[\r\n]/u)
    .map(stripVTControlCharacters);
  expect(Math.max(...shown.map(displayWidth))).toBeLessThanOrEqual(columns);
  expect(shown.some((line) => line.includes('█') || line.includes('░'))).toBe(isTTY);
  expect(printed().includes('\r')).toBe(isTTY);
});

test('a file is as wide as COLUMNS says, else 80', () => {
  const before = environment['COLUMNS'];
  try {
    for (const [given, width] of [
      ['50', 50],
      ['', 80],
      ['nonsense', 80],
    ] as const) {
      environment['COLUMNS'] = given;
      const { progress, lines } = open({ isTTY: false });
      progress.testStarts(fileOf(redis), 'word '.repeat(60));
      progress.end();
      const widest = Math.max(...lines().map(displayWidth));
      expect(widest).toBeLessThanOrEqual(width);
      expect(widest).toBeGreaterThan(width - 8);
    }
  } finally {
    if (before === undefined) delete environment['COLUMNS'];
    else environment['COLUMNS'] = before;
  }
});

test('a terminal has a bar with the time to go, from the durations of earlier runs', () => {
  const first = open({ isTTY: true, columns: 120 });
  planTestFiles([redis, postgres].map(fileOf));
  first.progress.runStarts(2);
  for (const [name, tookMs] of [
    [redis, 20_000],
    [postgres, 40_000],
  ] as const) {
    first.progress.fileStarts(fileOf(name));
    first.clock.atMs += tookMs;
    first.progress.fileEnds(fileOf(name), passed);
  }
  first.progress.end();
  expect(first.printed()).not.toContain('to go');
  expect(readDurations(join(directory, 'durations.json')).get(`suites/test/${redis}`)).toBe(20_000);

  const { progress, clock, lines, printed } = open({ isTTY: true, columns: 120 });
  progress.runStarts(2);
  expect(lines()[0]).toBe('\r\u001B[K2 test files, about 1 min by the last runs');
  progress.fileStarts(fileOf(redis));
  clock.atMs += 20_000;
  progress.fileEnds(fileOf(redis), passed);
  expect(printed().split('\r\u001B[K').at(-1)).toBe(
    `${'█'.repeat(10)}${'░'.repeat(10)} 1 of 2 files, 40 s to go`,
  );
  progress.end();
  expect(printed().endsWith('\r\u001B[K')).toBe(true);
});

test('files that run at a time share the time to go, and the longest is its least', () => {
  const known = new Map([
    ['a', 10_000],
    ['b', 10_000],
    ['c', 90_000],
  ]);
  const rest = { known, underWay: [], nowMs: 0 };
  expect(timeToGo({ ...rest, waiting: ['a', 'b'], workers: 2 })).toBe(10_000);
  expect(timeToGo({ ...rest, waiting: ['a', 'c'], workers: 2 })).toBe(90_000);
  expect(timeToGo({ ...rest, waiting: ['new'], workers: 1 })).toBeCloseTo(110_000 / 3);
  const late = [{ path: 'a', sinceMs: -60_000 }];
  expect(timeToGo({ ...rest, waiting: [], underWay: late, workers: 1 })).toBe(0);
  expect(timeToGo({ ...rest, known: new Map(), waiting: ['a'], workers: 1 })).toBeUndefined();
});

test('the servers that stand are named once, and on a terminal with their state', () => {
  const { progress, printed } = open({ isTTY: true, columns: 120 });
  progress.runStarts(1);
  const stop = announceServers();
  const move = (from: string, to: string): void =>
    channel('holdfast:stage:transition').publish({ server: 'redis', from, to, atMs: 0 });
  move('stopped', 'running');
  progress.fileStarts(fileOf(redis));
  expect(printed().split('\r\u001B[K').at(-1)).toMatch(/files, redis up$/);
  move('running', 'frozen');
  progress.fileEnds(fileOf(redis), passed);
  expect(printed().split('\r\u001B[K').at(-1)).toMatch(/files, redis frozen$/);
  stop();
  move('frozen', 'running');
  progress.end();
  expect(printed().match(/redis stands\n/g)).toHaveLength(1);
  expect(printed().match(/redis up/g)).toHaveLength(1);
});
