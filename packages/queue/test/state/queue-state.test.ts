import { expect, test } from '@jest/globals';
import { type QueueStateEvent, type QueueState, transition } from '../../src/state/queue-state.ts';

const unreachable: QueueStateEvent = { kind: 'failed', errorClass: 'unreachable' };
const denied: QueueStateEvent = { kind: 'failed', errorClass: 'denied' };
const fenced: QueueStateEvent = { kind: 'failed', errorClass: 'fenced' };
const batchAccepted: QueueStateEvent = { kind: 'batch-accepted' };
const backlogDrained: QueueStateEvent = { kind: 'backlog-drained' };
const closed: QueueStateEvent = { kind: 'closed' };

const opening: QueueState = { kind: 'opening' };
const direct: QueueState = { kind: 'direct' };
const buffering: QueueState = { kind: 'buffering', errorClass: 'unreachable' };
const draining: QueueState = { kind: 'draining' };
const blocked: QueueState = { kind: 'blocked', errorClass: 'denied' };

test.each<[QueueState, QueueStateEvent, QueueState]>([
  [opening, backlogDrained, direct],
  [opening, batchAccepted, draining],
  [opening, unreachable, buffering],
  [opening, denied, blocked],
  [direct, unreachable, buffering],
  [direct, denied, blocked],
  [direct, fenced, { kind: 'blocked', errorClass: 'fenced' }],
  [direct, batchAccepted, direct],
  [direct, backlogDrained, direct],
  [buffering, batchAccepted, draining],
  [buffering, backlogDrained, direct],
  [buffering, denied, blocked],
  [draining, backlogDrained, direct],
  [draining, unreachable, buffering],
  [draining, batchAccepted, draining],
  [blocked, batchAccepted, draining],
  [blocked, backlogDrained, direct],
  [blocked, unreachable, buffering],
])('%j, when %j, becomes %j', (from, event, to) => {
  expect(transition(from, event)).toEqual(to);
});

test.each([opening, direct, buffering, draining, blocked])('%j ends with closing', (from) => {
  const end = transition(from, closed);
  expect(end).toEqual({ kind: 'closed' });
  for (const event of [unreachable, denied, batchAccepted, backlogDrained, closed]) {
    expect(transition(end, event)).toEqual({ kind: 'closed' });
  }
});

test('a failure of the same class does not change the state', () => {
  expect(transition(buffering, unreachable)).toBe(buffering);
});
