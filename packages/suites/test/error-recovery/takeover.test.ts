import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { ErrorRecoveryHarness } from '../../src/error-recovery/harness.ts';
import { watchPace } from '../../src/host-pace.ts';

/** Half a second of lease, a second to notice, and as long again; a busy machine takes longer. */
const TAKEOVER_MS = 3_000;
const STAGES = ['begin-1', 'edit', 'build', 'commit', 'push-1', 'publish-1'] as const;

let harness: ErrorRecoveryHarness;
beforeAll(async () => {
  harness = await ErrorRecoveryHarness.open();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => harness.close());

test.each(STAGES)(
  'a worker that dies after %s is replaced: the edit is published once, committed once, paid for once',
  async (stage) => {
    const worker = await harness.replaceWorker();
    const instruction = `Die after ${stage}`;
    const paid = harness.claude.requests().length;
    const died = Promise.withResolvers<number>();
    const stop = worker.onLog(({ kind, message }) => {
      if (kind !== 'stage-done' || message !== stage) return;
      worker.kill();
      died.resolve(systemClock.now());
    });
    const session = await harness.createTestSession({ instruction });
    const diedMs = await died.promise;
    const pace = watchPace();
    stop();
    const successor = harness.startWorker();
    const resumedMs = await new Promise<number>((resolve) => {
      successor.onLog(() => resolve(systemClock.now()));
    });
    expect(resumedMs - diedMs).toBeLessThan(TAKEOVER_MS * pace.stop());
    await harness.waitForS3Deployment(session);
    expect(await harness.getGitCommits(session.branch)).toEqual([instruction, 'the site']);
    expect(harness.claude.requests().length - paid).toBe(1);
    expect(await harness.pointer(session.clientId)).toMatchObject({ branch: session.branch });
  },
);

test('a worker that was only stalled has no effect when it wakes up', async () => {
  const stalled = await harness.replaceWorker();
  const session = await harness.holdModel(async () => {
    const created = await harness.createTestSession({ instruction: 'Stalled at the model' });
    await harness.waitForLog('stage-done', created);
    stalled.runner.stall();
    return created;
  });
  harness.startWorker();
  const pointer = await harness.waitForS3Deployment(session);
  stalled.runner.resume();
  const after = await harness.createTestSession({ instruction: 'After the stall' });
  await harness.waitForS3Deployment(after);
  expect(await harness.pointer(session.clientId)).toEqual(pointer);
  expect(await harness.getGitCommits(session.branch)).toEqual(['Stalled at the model', 'the site']);
  expect((await harness.getSessionState(session.sessionId)).status).toBe('published');
});
