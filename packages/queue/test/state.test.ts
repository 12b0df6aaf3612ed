import { expect, test } from '@jest/globals';
import { type QueueMoment, type QueueState, transition } from '../src/state.ts';

const unreachable: QueueMoment = { kind: 'failed', errorClass: 'unreachable' };
const denied: QueueMoment = { kind: 'failed', errorClass: 'denied' };
const fenced: QueueMoment = { kind: 'failed', errorClass: 'fenced' };
const answered: QueueMoment = { kind: 'answered' };
const emptied: QueueMoment = { kind: 'emptied' };
const closed: QueueMoment = { kind: 'closed' };

const opening: QueueState = { at: 'opening' };
const direct: QueueState = { at: 'direct' };
const buffering: QueueState = { at: 'buffering', errorClass: 'unreachable' };
const draining: QueueState = { at: 'draining' };
const blocked: QueueState = { at: 'blocked', errorClass: 'denied' };

test.each<[QueueState, QueueMoment, QueueState]>([
  [opening, emptied, direct],
  [opening, answered, draining],
  [opening, unreachable, buffering],
  [opening, denied, blocked],
  [direct, unreachable, buffering],
  [direct, denied, blocked],
  [direct, fenced, { at: 'blocked', errorClass: 'fenced' }],
  [direct, answered, direct],
  [direct, emptied, direct],
  [buffering, answered, draining],
  [buffering, emptied, direct],
  [buffering, denied, blocked],
  [draining, emptied, direct],
  [draining, unreachable, buffering],
  [draining, answered, draining],
  [blocked, answered, draining],
  [blocked, emptied, direct],
  [blocked, unreachable, buffering],
])('%j, when %j, becomes %j', (from, moment, to) => {
  expect(transition(from, moment)).toEqual(to);
});

test.each([opening, direct, buffering, draining, blocked])(
  '%j is left for good by closing',
  (from) => {
    const end = transition(from, closed);
    expect(end).toEqual({ at: 'closed' });
    for (const moment of [unreachable, denied, answered, emptied, closed]) {
      expect(transition(end, moment)).toEqual({ at: 'closed' });
    }
  },
);

test('a failure of the same kind is no change of state', () => {
  expect(transition(buffering, unreachable)).toBe(buffering);
});
