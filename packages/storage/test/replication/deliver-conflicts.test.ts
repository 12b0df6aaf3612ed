import { expect, test } from '@jest/globals';
import { fail, ok } from '../../src/backend.ts';
import {
  BEFORE,
  CONFLICT,
  DENIED,
  PROBE_MS,
  SETTLED,
  head,
  lives,
  openReplica,
  operation,
  ours,
} from './delivering.ts';

test('an earlier write of ours in its place is no conflict: its version is replaced', async () => {
  const { backend, replica, conflicts, send } = openReplica();
  replica.isDelayed = true;
  backend.puts.push(CONFLICT);
  backend.heads.push(ours(50, `w-${BEFORE}-1e`));
  expect(await send(operation(200))).toEqual(SETTLED);
  expect(backend.asked).toEqual(['put if absent', 'head', 'put if v1']);
  expect(conflicts).toEqual([]);
  const { version: _, ...unversioned } = { version: '', key: 'k', size: 4, metadata: {} };
  replica.isInDoubt = true;
  replica.isDelayed = true;
  const stamp = { operationId: lives.operationId(200), generation: 200, sha256: '' };
  backend.heads.push(ok({ ...unversioned, stamp }));
  await send(operation(201));
  expect(backend.asked.slice(3)).toEqual(['head', 'put']);
});

test.each([
  ['keep-both', 'keep-both', 'settled', 1, 1],
  ['remote-wins', 'theirs', 'settled', 0, 1],
  ['refuse', 'refuse', 'refused', 0, 1],
  ['local-wins', 'ours', 'settled', 0, 0],
] as const)('another writer’s object and %s', async (policy, resolution, next, copied, lost) => {
  const { backend, replica, conflicts, copies, superseded, send } = openReplica({
    conflicts: policy,
  });
  replica.isDelayed = true;
  backend.puts.push(CONFLICT);
  backend.heads.push(head({ version: 'theirs' }));
  const result = await send(operation(200));
  expect(result).toMatchObject({ outcome: { kind: 'responded' }, next: { kind: next } });
  expect([conflicts, copies.length, superseded.length]).toEqual([[resolution], copied, lost]);
  expect(backend.asked.slice(2)).toEqual(resolution === 'ours' ? ['put if theirs'] : []);
});

test('a removal that is for our own object alone leaves another writer’s', async () => {
  const removal = { kind: 'remove', size: 0 } as const;
  for (const onlyOurs of [true, false]) {
    const { backend, replica, conflicts, copies, send } = openReplica({ conflicts: 'local-wins' });
    replica.isDelayed = true;
    backend.heads.push(head());
    const one = operation(200, { ...removal, ...(onlyOurs && { onlyOurs }) });
    expect(await send(one)).toEqual(SETTLED);
    expect(conflicts).toEqual([onlyOurs ? 'theirs' : 'ours']);
    expect(backend.asked).toEqual(onlyOurs ? ['head'] : ['head', 'remove']);
    expect(copies).toEqual([]);
  }
});

test('a removal that lost a conflict keeps no copy', async () => {
  const { backend, replica, copies, send } = openReplica();
  replica.isDelayed = true;
  backend.heads.push(head());
  await send(operation(200, { kind: 'remove', size: 0 }));
  expect([backend.asked, copies]).toEqual([['head'], []]);
});

test('a write that two others came before is tried again with a new look', async () => {
  const { backend, replica, send } = openReplica({ conflicts: 'local-wins' });
  replica.isDelayed = true;
  backend.puts.push(CONFLICT, CONFLICT);
  backend.heads.push(head());
  expect(await send(operation(200))).toMatchObject({
    outcome: { kind: 'failed', failure: { kind: 'transient' } },
    next: { kind: 'retryLater' },
  });
});

test('an object in its place that cannot be seen denies one key alone', async () => {
  const { backend, replica, send } = openReplica();
  replica.isDelayed = true;
  backend.puts.push(CONFLICT, fail('conflict', 'HTTP 412', { right: 's3:ListBucket' }));
  const alone = {
    outcome: { kind: 'inconclusive' },
    next: { kind: 'retryLater', delayMs: PROBE_MS },
  };
  expect(await send(operation(200))).toEqual(alone);
  expect(replica.denial?.failure.message).toContain('s3:ListBucket');
  backend.puts.push(CONFLICT);
  backend.heads.push(DENIED);
  expect(await send(operation(200))).toEqual(alone);
});
