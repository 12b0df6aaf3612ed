import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import * as fc from 'fast-check';
import type { Token } from '../src/connection/token.ts';
import { LatencyTracker, lowestLatency } from '../src/hosts/latency-tracker.ts';
import { LagEstimator } from '../src/hosts/lag-estimator.ts';
import {
  type LogPosition,
  UNKNOWN_LSN,
  hasReplayed,
  laterOf,
  parseLsn,
  tokenFrom,
} from '../src/lsn.ts';
import { ConnectBackoff } from '../src/pool/connect-backoff.ts';
import { LearnedCap } from '../src/pool/learned-cap.ts';
import {
  type PooledConnectionEvent,
  type PooledConnectionState,
  step,
} from '../src/pool/pooled-connection.ts';

const SEED = 20_261_122;

test('the estimated lag of a standby is never below its real lag', () => {
  const history = fc.array(fc.tuple(fc.nat(100), fc.nat(50)), { minLength: 1, maxLength: 40 });
  const property = fc.property(
    history,
    fc.nat(3_000),
    fc.nat(5_000),
    (steps, replayed, laterMs) => {
      const lag = new LagEstimator();
      let nowMs = 0;
      let position = 0;
      // When the log first exceeded the position that the standby has replayed.
      let behindSinceMs = Infinity;
      for (const [pauseMs, growth] of steps) {
        nowMs += pauseMs;
        lag.record(nowMs, BigInt(position));
        position += growth;
        if (position > replayed) behindSinceMs = Math.min(behindSinceMs, nowMs);
      }
      nowMs += laterMs;
      const trueLagMs = behindSinceMs === Infinity ? 0 : nowMs - behindSinceMs;
      expect(lag.lagMs(BigInt(replayed), nowMs)).toBeGreaterThanOrEqual(trueLagMs);
    },
  );
  fc.assert(property, { seed: SEED, numRuns: 500 });
});

test('the lag without measurements is infinite', () => {
  const lag = new LagEstimator();
  expect(lag.lagMs(5n, 100)).toBe(Infinity);
  lag.record(50, 10n);
  expect(lag.lagMs(9n, 100)).toBe(Infinity);
  expect(lag.lagMs(10n, 100)).toBe(50);
  lag.reset();
  expect(lag.lagMs(10n, 100)).toBe(Infinity);
});

function reached(floor: LogPosition | undefined, token: Token): boolean {
  return hasReplayed(floor, token, parseLsn(token.lsn));
}

test('a position counts as replayed on its own timeline only, and an unknown one never does', () => {
  const floor = { timeline: 2, position: 0x100n };
  expect(reached(floor, { timeline: 2, lsn: '0/100' })).toBe(true);
  expect(reached(floor, { timeline: 1, lsn: '0/FF' })).toBe(false);
  expect(reached(floor, { timeline: 3, lsn: '0/1' })).toBe(false);
  expect(reached(floor, { timeline: 2, lsn: '0/101' })).toBe(false);
  expect(reached({ timeline: 9, position: 2n ** 60n }, UNKNOWN_LSN)).toBe(false);
  expect(reached(undefined, { timeline: 0, lsn: '0/0' })).toBe(false);
});

test('positions are parsed in the format of Postgres, and ordered by timeline first', () => {
  expect(parseLsn('16/B374D848')).toBe(0x16b374d848n);
  expect(parseLsn('16-B374D848')).toBeUndefined();
  expect(tokenFrom({ lsn: '0/2', timeline: '0000000A' })).toEqual({ timeline: 10, lsn: '0/2' });
  expect(tokenFrom({ lsn: '0/2' })).toBe(UNKNOWN_LSN);
  const early = { timeline: 1, lsn: '9/0' };
  const late = { timeline: 2, lsn: '0/1' };
  expect(laterOf(early, late)).toBe(late);
  expect(laterOf(late, early)).toBe(late);
  expect(laterOf({ timeline: 2, lsn: '0/2' }, late)).toEqual({ timeline: 2, lsn: '0/2' });
});

test('an unknown position is later than any, and keeps the timeline that was seen', () => {
  const known = { timeline: 2, lsn: '0/5' };
  const unknown = { timeline: 2, lsn: UNKNOWN_LSN.lsn };
  expect(laterOf(known, UNKNOWN_LSN)).toEqual(unknown);
  expect(laterOf(UNKNOWN_LSN, known)).toEqual(unknown);
  expect(laterOf(unknown, { timeline: 1, lsn: 'F/0' })).toEqual(unknown);
  expect(laterOf(undefined, UNKNOWN_LSN)).toEqual(UNKNOWN_LSN);
});

test('the host of the lowest latency is used, and replaced only by one that is faster by a fifth', () => {
  const host = (latencyMs: number): { latency: LatencyTracker } => {
    const latency = new LatencyTracker();
    latency.record(latencyMs);
    return { latency };
  };
  const [far, near, nearer] = [host(100), host(10), host(9)];
  expect(lowestLatency([far, near], undefined)).toBe(near);
  expect(lowestLatency([far, near, nearer], near)).toBe(near);
  expect(lowestLatency([far, near, host(7)], near)).not.toBe(near);
  expect(lowestLatency([far, nearer], near)).toBe(nearer);
  expect(lowestLatency([], near)).toBeUndefined();
});

test('a host that fails reads is ejected, longer each time, until it serves again', () => {
  const latency = new LatencyTracker();
  latency.failed(0);
  expect([latency.isEjected(999), latency.isEjected(1_000)]).toEqual([true, false]);
  latency.failed(1_000);
  expect([latency.isEjected(2_999), latency.isEjected(3_000)]).toEqual([true, false]);
  latency.served();
  latency.failed(3_000);
  expect([latency.isEjected(3_999), latency.isEjected(4_000)]).toEqual([true, false]);
});

test('a pooled connection changes its state only as in the state diagram', () => {
  const path: [PooledConnectionEvent, PooledConnectionState][] = [
    ['connected', 'idle'],
    ['acquire', 'busy'],
    ['release', 'cleaning'],
    ['cleaned', 'idle'],
    ['check', 'cleaning'],
    ['destroy', 'destroyed'],
  ];
  let state: PooledConnectionState = 'connecting';
  for (const [event, next] of path) {
    state = step(state, event);
    expect(state).toBe(next);
  }
  for (const event of ['connected', 'acquire', 'release', 'check', 'cleaned', 'destroy'] as const) {
    expect(() => step('destroyed', event)).toThrow(TypeError);
  }
  expect(() => step('busy', 'acquire')).toThrow(TypeError);
});

test('while probing, one attempt at a time is permitted, each later than the one before', () => {
  const gate = new ConnectBackoff({ initialDelayMs: 20, maxDelayMs: 200 }, seededRandom(1));
  expect(gate.dueInMs(0)).toBe(0);
  expect(gate.beginAttempt()).toBe(true);
  expect(gate.dueInMs(0)).toBeUndefined();
  const delays = [0, 1, 2, 3].map(() => {
    const delayMs = gate.failed(0, true);
    gate.beginAttempt();
    return delayMs;
  });
  expect(delays.toSorted((left, right) => left - right)).toEqual(delays);
  expect(delays.at(-1)).toBeLessThanOrEqual(200);
  gate.succeeded(0);
  expect(gate.dueInMs(0)).toBe(0);
  expect(gate.beginAttempt()).toBe(false);
});

test('a learned cap is raised more and more rarely while the server refuses, and grows fast once it does not', () => {
  const cap = new LearnedCap(20);
  for (let others = 19; others >= 8; others -= 1) cap.refused(others, 0);
  expect(cap.value).toBe(8);
  const raisedAt: number[] = [];
  for (let nowMs = 0; nowMs < 60_000; nowMs += 10) {
    if (!cap.raise(nowMs)) continue;
    raisedAt.push(nowMs);
    cap.refused(8, nowMs);
  }
  expect(cap.value).toBe(8);
  expect(raisedAt.length).toBeLessThan(10);
  let nowMs = 100_000;
  while (cap.value < 20 && cap.raise(nowMs)) {
    cap.succeeded(cap.value);
    nowMs += 1;
  }
  expect(cap.value).toBe(20);
});
