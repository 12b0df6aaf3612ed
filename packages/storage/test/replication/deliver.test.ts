import { expect, test } from '@jest/globals';
import { type BodySource, fail } from '../../src/backend.ts';
import {
  AWAY,
  BEFORE,
  CONFLICT,
  DENIED,
  LATE_MS,
  LOST,
  PROBE_MS,
  SETTLED,
  head,
  lives,
  openReplica,
  operation,
  ours,
} from './delivering.ts';

test('a fresh write is sent at once, with its attributes and its stamp', async () => {
  const { clock, backend, writer, send } = openReplica();
  await clock.advance(5_000);
  expect(await send(operation(200))).toEqual(SETTLED);
  expect(backend.asked).toEqual(['put']);
  expect(backend.lastPut).toMatchObject({
    contentType: 'text/plain',
    maxAgeSeconds: 60,
    metadata: { color: 'red' },
    stamp: { operationId: lives.operationId(200), generation: 200, sha256: 'sum' },
  });
  expect(backend.lastPut).not.toHaveProperty('progress');
  expect(writer.counts).toMatchObject({ puts: 1, putBytes: 4, heads: 0, alreadyApplied: 0 });
  expect(writer.lastAcceptedAtMs).toBe(clock.now());
});

test('a write that waited too long must not replace what it has not seen', async () => {
  const { clock, backend, send } = openReplica();
  await clock.advance(5_001);
  await send(operation(200));
  expect(backend.asked).toEqual(['put if absent']);
});

test('failures are repeated after growing delays, no longer than the longest, and then forgotten', async () => {
  const { backend, replica, writer, send } = openReplica();
  const delays: number[] = [];
  for (let failure = 0; failure < 8; failure += 1) {
    backend.puts.push(AWAY);
    const { outcome, next } = await send(operation(200));
    expect(outcome).toEqual({ kind: 'failed', failure: AWAY });
    if (next.kind === 'retryLater') delays.push(next.delayMs);
  }
  for (const [at, delay] of delays.entries()) {
    const ideal = Math.min(1_000, 100 * 2 ** at);
    expect(delay).toBeGreaterThanOrEqual(ideal * 0.75 - 1);
    expect(delay).toBeLessThanOrEqual(ideal * 1.25 + 1);
  }
  expect([delays.length, replica.failures, writer.failures.transient]).toEqual([8, 8, 8]);
  expect(writer.lastError).toBe('ECONNREFUSED');
  expect(await send(operation(200))).toEqual(SETTLED);
  expect(replica.failures).toBe(0);
});

test('the next attempt waits as long as the backend asks for', async () => {
  const { backend, send } = openReplica();
  backend.puts.push(fail('transient', '429', { retryAfterMs: 7_000 }));
  expect((await send(operation(200))).next).toEqual({ kind: 'retryLater', delayMs: 7_000 });
});

test('a write whose response was lost is looked for, and not sent again when it is there', async () => {
  const { backend, replica, writer, send } = openReplica();
  backend.puts.push(LOST);
  expect((await send(operation(200))).outcome.kind).toBe('failed');
  expect(replica.inDoubtWrites.mayStillApply(200, LATE_MS - 1)).toBe(true);
  backend.heads.push(ours(200));
  expect(await send(operation(200))).toEqual(SETTLED);
  expect(backend.asked).toEqual(['put', 'head']);
  expect(writer.counts).toMatchObject({ heads: 1, alreadyApplied: 1 });
  // Of its only attempt nothing is under way any more.
  expect(replica.inDoubtWrites.untilMs(0)).toBeUndefined();
  expect(replica.isRemovalInDoubt).toBe(false);
});

test('a write whose response was lost is sent again where it is not there, and may be there twice', async () => {
  const { backend, replica, send } = openReplica();
  backend.puts.push(LOST);
  await send(operation(200));
  expect(await send(operation(200))).toEqual(SETTLED);
  expect(backend.asked).toEqual(['put', 'head', 'put if absent']);
  expect([replica.isInDoubt, replica.inDoubtWrites.untilMs(0)]).toEqual([false, LATE_MS]);
});

test('a later write waits while an earlier one may still be applied, and looks for it meanwhile', async () => {
  const { clock, backend, replica, send } = openReplica();
  backend.puts.push(LOST);
  await send(operation(200));
  const { outcome, next } = await send(operation(201));
  expect([outcome.kind, next]).toEqual(['inconclusive', { kind: 'retryLater', delayMs: 1_000 }]);
  await clock.advance(LATE_MS - 300);
  expect((await send(operation(201))).next).toEqual({ kind: 'retryLater', delayMs: 300 });
  expect(backend.asked).toEqual(['put', 'head', 'head']);
  expect(replica.isInDoubt).toBe(true);
  // It is there now, and nothing of it is under way.
  backend.heads.push(ours(200));
  expect(await send(operation(201))).toEqual(SETTLED);
  expect(backend.asked.slice(3)).toEqual(['head', 'put if v1']);
});

test('who must not look may still write; a backend that is away or has no bucket is not written to', async () => {
  const attempted = async (answer: typeof AWAY) => {
    const { backend, replica, send } = openReplica();
    replica.isInDoubt = true;
    backend.heads.push(answer);
    const { next, outcome } = await send(operation(200));
    return [backend.asked.length, next.kind, outcome.kind];
  };
  expect(await attempted(DENIED)).toEqual([2, 'settled', 'responded']);
  expect(await attempted(AWAY)).toEqual([1, 'retryLater', 'failed']);
  const missing = fail('notFound', 'no bucket', { code: 'NoSuchBucket' });
  expect(await attempted(missing)).toEqual([1, 'retryLater', 'denied']);
});

test.each([
  ['a small write of this life', operation(200), ['put if absent']],
  ['one of just so many bytes', operation(200, { size: 65_536 }), ['put if absent']],
  ['a larger one', operation(200, { size: 65_537 }), ['head', 'put if absent']],
  ['one of an earlier life', operation(90, { id: `w-${BEFORE}-2i` }), ['head', 'put if absent']],
])('a delayed write is preceded by a read where that is cheaper: %s', async (_, one, expected) => {
  const { backend, replica, send } = openReplica();
  replica.isDelayed = true;
  await send(one);
  expect(backend.asked).toEqual(expected);
});

test('a denial is the backend’s, unless it takes other keys meanwhile', async () => {
  const { clock, backend, writer, replica, send } = openReplica();
  backend.puts.push(DENIED);
  const all = {
    outcome: { kind: 'denied', failure: DENIED },
    next: { kind: 'retryLater', delayMs: 0 },
  };
  expect(await send(operation(200))).toEqual(all);
  await clock.advance(1_000);
  backend.puts.push(DENIED);
  expect(await send(operation(200))).toEqual(all);
  writer.lastAcceptedAtMs = clock.now();
  backend.puts.push(DENIED);
  expect(await send(operation(200))).toEqual(all);
  await clock.advance(1_000);
  writer.lastAcceptedAtMs = clock.now();
  backend.puts.push(DENIED);
  expect((await send(operation(200))).next).toEqual({ kind: 'retryLater', delayMs: PROBE_MS });
  await send(operation(200));
  expect(replica.denial).toBeUndefined();
});

test('what a backend never takes is refused, and a missing bucket is a denial', async () => {
  const { backend, send } = openReplica();
  const invalid = fail('invalid', 'too large');
  backend.puts.push(invalid, fail('notFound', 'no bucket', { code: 'NoSuchBucket' }));
  expect(await send(operation(200))).toEqual({
    outcome: { kind: 'responded' },
    next: { kind: 'refused', failure: invalid },
  });
  expect((await send(operation(200))).outcome.kind).toBe('denied');
});

test('a removal in doubt is done when nothing is there', async () => {
  const { backend, replica, writer, send } = openReplica();
  const removal = operation(200, { kind: 'remove', size: 0 });
  backend.removes.push(LOST);
  await send(removal);
  expect([replica.isRemovalInDoubt, replica.isInDoubt]).toEqual([true, true]);
  expect(await send(removal)).toEqual(SETTLED);
  expect(backend.asked).toEqual(['remove', 'head']);
  expect(writer.counts).toMatchObject({ removes: 1, alreadyApplied: 1, puts: 0 });
});

test.each([
  ['is not in its record', {}, false, 'refused'],
  ['is in a file that does not open', { blob: 'f' }, false, 'retryLater'],
  ['is in a file that is damaged', { blob: 'f' }, true, 'refused'],
])('a body that %s', async (_, more, isDamaged, expected) => {
  const { backend, log, deps, send } = openReplica();
  const unreadable = async (): Promise<never> => {
    throw new Error('EIO');
  };
  Object.assign(deps.log, { ...log, body: unreadable, isDamaged: () => isDamaged });
  expect((await send(operation(200, more))).next.kind).toBe(expected);
  expect(backend.asked).toEqual([]);
});

test.each([
  [false, 'retryLater'],
  [true, 'refused'],
])(
  'a body that breaks off while it is sent (damaged: %j): nothing is in doubt',
  async (isDamaged, next) => {
    const { backend, replica, log, deps, send } = openReplica();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('bo');
      throw new Error('EIO');
    }
    const body = async (): Promise<BodySource> => ({ size: 4, open: broken });
    Object.assign(deps.log, { ...log, body, isDamaged: () => isDamaged });
    backend.puts.push(LOST);
    expect((await send(operation(200))).next.kind).toBe(next);
    expect(replica.isInDoubt).toBe(false);
    expect(backend.lastPut?.signal.aborted).toBe(true);
  },
);

test('a large upload goes on where it was, and one of another write is given up', async () => {
  const { backend, replica, log, send } = openReplica();
  const large = operation(200, { size: 100_001 });
  backend.puts.push(AWAY);
  await send(large);
  await backend.lastPut?.progress?.save({ at: 1 });
  expect(log.progress).toEqual([
    { backend: 'primary', key: 'k', generation: 200, state: { at: 1 } },
  ]);
  backend.puts.push(AWAY);
  await send(large);
  expect(backend.lastPut?.progress?.saved).toEqual({ at: 1 });
  expect(backend.asked).not.toContain('abandon');
  replica.isDelayed = false;
  await send(operation(201, { size: 100_001 }));
  expect(backend.asked.slice(-2)).toEqual(['abandon', 'put']);
  expect(backend.lastPut?.progress?.saved).toBeUndefined();
  expect(replica.progress).toBeUndefined();
  // Just so many bytes are sent in one piece.
  await send(operation(202, { size: 100_000 }));
  expect(backend.lastPut).not.toHaveProperty('progress');
});

test('a refused large upload gives back what it holds', async () => {
  const { backend, replica, send } = openReplica();
  replica.progress = { generation: 200, state: {} };
  backend.puts.push(fail('invalid', 'too large'));
  await send(operation(200));
  expect(backend.asked).toEqual(['put', 'abandon']);
});

test('a write that could not be kept aside is tried again, and says nothing of the backend', async () => {
  const { backend, replica, send } = openReplica({
    keepConflictCopy: () => Promise.reject(new Error('the journal is full')),
  });
  replica.isDelayed = true;
  backend.puts.push(CONFLICT);
  backend.heads.push(head());
  expect(await send(operation(200))).toMatchObject({
    outcome: { kind: 'inconclusive' },
    next: { kind: 'retryLater' },
  });
});

test.each([
  ['is there', ours(200), 'verified', [], undefined],
  ['was replaced by another writer', head(), 'verified', ['k'], undefined],
  ['was replaced by an earlier write of ours', ours(199), 'retryLater', [], 199],
  ['cannot be seen', DENIED, 'verified', [], undefined],
])(
  'what was delivered is read once more in its time: it %s',
  async (_, answer, next, lost, undone) => {
    const { clock, emitter, backend, replica, superseded, send } = openReplica();
    const late: string[] = [];
    emitter.on('late-write', ({ path }) => late.push(path));
    replica.settledGeneration = 200;
    replica.verifyAtMs = 3_000;
    await clock.advance(1_000);
    expect((await send(operation(200))).next).toEqual({ kind: 'retryLater', delayMs: 2_000 });
    expect(backend.asked).toEqual([]);
    await clock.advance(2_000);
    backend.heads.push(answer);
    expect((await send(operation(200))).next.kind).toBe(next);
    expect([superseded, replica.verifyAtMs]).toEqual([lost, undefined]);
    expect(replica.settledGeneration).toBe(undone ?? 200);
    expect(late).toEqual(undone === undefined ? [] : ['k']);
  },
);

test('a read that fails is repeated, and what was delivered stays to be verified', async () => {
  const { backend, replica, writer, send } = openReplica();
  replica.settledGeneration = 200;
  replica.verifyAtMs = 0;
  backend.heads.push(AWAY);
  const { outcome, next } = await send(operation(200));
  expect([outcome.kind, next.kind]).toEqual(['failed', 'retryLater']);
  expect([replica.verifyAtMs, writer.failures.transient]).toEqual([0, 1]);
});
