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
const silent = (name: string, probedMs = 10): Named => ({ name, lastProbe: undefined, probedMs });

test.each<[string, Named[], Partial<Known>, string | undefined]>([
  ['the one primary among standbys', [standby('a', 1), primary('b', 1)], {}, 'b'],
  ['nobody among standbys', [standby('a', 1), standby('b', 1)], {}, undefined],
  ['nobody before all were asked', [primary('a', 1), silent('b', -Infinity)], {}, undefined],
  ['a primary although another does not answer', [primary('a', 1), silent('b')], {}, 'a'],
  ['the later timeline of two', [primary('a', 1), primary('b', 2)], {}, 'b'],
  ['the last one of two alike', [primary('a', 1), primary('b', 1)], { lastPrimary: 1 }, 'b'],
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
