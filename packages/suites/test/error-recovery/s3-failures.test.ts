import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { ErrorRecoveryHarness } from '../../src/error-recovery/harness.ts';
import { bucketOf } from '../../src/error-recovery/worker.ts';

let harness: ErrorRecoveryHarness;
beforeAll(async () => {
  harness = await ErrorRecoveryHarness.open();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => harness.close());

test('handles S3 permission errors: the commit is pushed, and the site is published when the right returns', async () => {
  const clientId = 'restricted-test';
  await harness.createBucket(bucketOf(clientId));
  await harness.deny(bucketOf(clientId), 's3:PutObject');
  const session = await harness.createTestSession({
    clientId,
    instruction: 'Test S3 permission failure',
  });
  const [failed] = await harness.waitForLog('s3-failed', session);
  expect(failed?.message).toMatch(/S3 sync failed.*Access Denied/);
  const state = await harness.waitForStatus(session.sessionId, ['waiting']);
  expect(state.lastError).toContain('Access Denied');
  // The commit was made and pushed all the same.
  expect(await harness.getGitCommits(session.branch)).toEqual([
    'Test S3 permission failure',
    'the site',
  ]);
  expect(await harness.pointer(clientId)).toBeUndefined();
  // The worker goes on with others meanwhile.
  const other = await harness.createTestSession({ instruction: 'While S3 denies another' });
  await harness.waitForS3Deployment(other);

  await harness.allow(bucketOf(clientId));
  await harness.waitForS3Deployment(session);
  const published = await harness.getSessionState(session.sessionId);
  expect(published.lastError).toBeUndefined();
});

test('retries S3 sync on network failures, with what had arrived not sent again', async () => {
  const clientId = 'network-test';
  const { s3 } = harness.stage;
  const bucket = bucketOf(clientId);
  const reset = { kind: 'reset', when: 'after' } as const;
  await s3.setFaults([{ bucket, operation: 'PutObject', times: 8, fault: reset }]);
  const session = await harness.createTestSession({ clientId, instruction: 'Test network retry' });
  const attempts = await harness.waitForLog('s3-attempt', session, 2);
  expect(attempts[1]?.message).toMatch(/S3 sync attempt 2/);
  await harness.waitForLog('network-error', session);
  await harness.waitForS3Deployment(session);
  await harness.waitForLog('network-restored', session);
  await harness.waitForLog('s3-complete', session);
  await s3.setFaults([]);
});

test('a sync that never succeeds ends as a dead letter, and a redrive pays for no second answer', async () => {
  const worker = await harness.replaceWorker({ maxRounds: 1 });
  const clientId = 'given-up';
  await harness.createBucket(bucketOf(clientId));
  await harness.deny(bucketOf(clientId), 's3:PutObject');
  const paidBefore = harness.claude.requests().length;
  const session = await harness.createTestSession({ clientId, instruction: 'Given up for now' });
  await harness.waitForStatus(session.sessionId, ['failed']);
  await harness.waitForLog('s3-failed-after-retries', session);
  expect(await worker.service.deadLetters()).toContainEqual({
    sessionId: session.sessionId,
    number: 1,
    stage: 'publish',
    reason: expect.stringContaining('Access Denied'),
    instruction: 'Given up for now',
  });
  await harness.allow(bucketOf(clientId));
  await worker.service.resumeSession(session.sessionId);
  await harness.waitForS3Deployment(session);
  expect(await worker.service.deadLetters()).toEqual([]);
  expect(harness.claude.requests().length - paidBefore).toBe(1);
  expect(await harness.getGitCommits(session.branch)).toEqual(['Given up for now', 'the site']);
});
