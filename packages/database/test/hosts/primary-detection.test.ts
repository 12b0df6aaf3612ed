import { expect, test } from '@jest/globals';
import { type ProbedHost, detectPrimary, roleOf } from '../../src/hosts/primary-detection.ts';

/** The fields of the view besides its hosts; `lastPrimary` is an index of them. */
interface Known {
  readonly timeline: number;
  readonly lastTimeline: number;
  readonly suspectSinceMs: number;
  readonly lastPrimary: number;
  readonly minHostsSeen: number;
}

interface Named extends ProbedHost {
  readonly name: string;
}

const primary = (name: string, timeline: number, probedMs = 10): Named => ({
  name,
  lastProbe: { writable: true, timeline },
  probedMs,
});
const standby = (name: string, timeline: number, probedMs = 10): Named => ({
  name,
  lastProbe: { writable: false, timeline },
  probedMs,
});
/** By its own account it accepts writes; its timeline could not be read. */
const untold = (name: string): Named => ({
  name,
  lastProbe: { writable: true, timeline: undefined },
  probedMs: 10,
});
const silent = (name: string, probedMs = 10): Named => ({ name, lastProbe: undefined, probedMs });

test.each<[string, Named[], Partial<Known>, string | undefined]>([
  ['the one primary among standbys', [standby('a', 1), primary('b', 1)], {}, 'b'],
  ['nobody among standbys', [standby('a', 1), standby('b', 1)], {}, undefined],
  ['nobody before all were asked', [primary('a', 1), silent('b', -Infinity)], {}, undefined],
  ['a primary although another does not answer', [primary('a', 1), silent('b')], {}, 'a'],
  ['the later timeline of two', [primary('a', 1), primary('b', 2)], {}, 'b'],
  ['the last one of two alike', [primary('a', 1), primary('b', 1)], { lastPrimary: 1 }, 'b'],
  ['the first one of two alike', [primary('a', 1), primary('b', 1)], { lastPrimary: 0 }, 'a'],
  ['a primary whose timeline is not known', [standby('a', 3), untold('b')], { timeline: 3 }, 'b'],
  [
    'a known timeline before an unknown one',
    [primary('a', 2), untold('b')],
    { lastPrimary: 1 },
    'a',
  ],
  ['nobody behind a timeline seen earlier', [primary('a', 1)], { timeline: 2 }, undefined],
  [
    'nobody on a timeline that was left',
    [primary('a', 1), standby('b', 2)],
    { timeline: 2 },
    undefined,
  ],
  [
    'nobody before the others were asked again',
    [primary('a', 1, 30), standby('b', 1, 10)],
    { timeline: 1, suspectSinceMs: 20 },
    undefined,
  ],
  [
    'nobody of two alike before all were asked again',
    [primary('a', 1, 30), primary('b', 1, 10)],
    { timeline: 1, lastTimeline: 1, suspectSinceMs: 20, lastPrimary: 0 },
    undefined,
  ],
  [
    'nobody on the last timeline while another one is silent since before',
    [primary('a', 2, 30), silent('b', 10)],
    { timeline: 2, lastTimeline: 2, suspectSinceMs: 20, lastPrimary: 1 },
    undefined,
  ],
  [
    'nobody at the first sight, though on a timeline, before all were asked',
    [primary('a', 3, 30), silent('b', -Infinity)],
    { timeline: 3, suspectSinceMs: 20 },
    undefined,
  ],
  [
    'one on the last timeline asked in the very moment of the suspicion',
    [primary('a', 1, 20), standby('b', 1, 20)],
    { timeline: 1, lastTimeline: 1, suspectSinceMs: 20 },
    'a',
  ],
  [
    'a promoted one without asking the others',
    [silent('a', 10), primary('b', 2, 30)],
    { timeline: 1, lastTimeline: 1, suspectSinceMs: 20 },
    'b',
  ],
  [
    'a promoted one also when a standby has shown its timeline before',
    [silent('a', 10), primary('b', 2, 30), standby('c', 2, 10)],
    { timeline: 2, lastTimeline: 1, suspectSinceMs: 20 },
    'b',
  ],
  [
    'nobody when a standby is on a later timeline',
    [primary('a', 1), standby('b', 2)],
    {},
    undefined,
  ],
  [
    'nobody when fewer answer than must',
    [primary('a', 1), silent('b'), silent('c')],
    { minHostsSeen: 2 },
    undefined,
  ],
  [
    'a primary when as many answer as must',
    [primary('a', 1), standby('b', 1), silent('c')],
    { minHostsSeen: 2 },
    'a',
  ],
])('detects %s', (_, hosts, known, name) => {
  const { lastPrimary, ...rest } = known;
  const lastHost = lastPrimary === undefined ? undefined : hosts[lastPrimary];
  const fresh = { suspectSinceMs: 0, timeline: 0, lastTimeline: 0, minHostsSeen: 1 };
  expect(detectPrimary({ ...fresh, ...rest, hosts, lastPrimary: lastHost })?.name).toBe(name);
});

test('a primary that was not selected is fenced, one that does not respond is offline', () => {
  const [old, current, gone, unasked] = [
    primary('old', 1),
    primary('current', 2),
    silent('gone'),
    silent('unasked', -Infinity),
  ];
  const hosts = [old, current, gone, unasked, standby('standby', 2)];
  const view = {
    hosts,
    lastPrimary: current,
    suspectSinceMs: 0,
    timeline: 2,
    lastTimeline: 2,
    minHostsSeen: 1,
  };
  expect(hosts.map((host) => roleOf(host, view))).toEqual([
    'fenced',
    'primary',
    'offline',
    'unknown',
    'standby',
  ]);
});

test('a primary is unknown before one was selected, and fenced on a timeline that was left', () => {
  const [behind, alike, untoldOne] = [primary('behind', 1), primary('alike', 2), untold('untold')];
  const hosts = [behind, alike, untoldOne];
  const known = { hosts, suspectSinceMs: 0, timeline: 2, lastTimeline: 0, minHostsSeen: 1 };
  const roles = (lastPrimary: Named | undefined): string[] =>
    hosts.map((host) => roleOf(host, { ...known, lastPrimary }));
  expect(roles(undefined)).toEqual(['fenced', 'unknown', 'unknown']);
  expect(roles(alike)).toEqual(['fenced', 'primary', 'fenced']);
});
