import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { ErrorRecoveryHarness } from '../../src/error-recovery/harness.ts';
import { bucketOf } from '../../src/error-recovery/worker.ts';

const SESSIONS = 5;

let harness: ErrorRecoveryHarness;
beforeAll(async () => {
  harness = await ErrorRecoveryHarness.open({ openDurationMs: 600_000, maxRounds: 1_000 });
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => harness.close());

test('prevents cascade failures: one session of five fails, and the others do not notice', async () => {
  const { sessions, failing } = await harness.holdModel(async () => {
    const created = [];
    for (let index = 0; index < SESSIONS; index += 1) {
      const instruction = `Normal task ${index}`;
      created.push(await harness.createTestSession({ clientId: `cascade-${index}`, instruction }));
    }
    const [, , third] = created;
    await harness.injectFailure(third?.sessionId ?? '', 'BUILD_ERROR');
    return { sessions: created, failing: third };
  });
  for (const session of sessions.filter((each) => each !== failing)) {
    await harness.waitForS3Deployment(session);
    expect((await harness.getSessionState(session.sessionId)).lastError).toBeUndefined();
  }
  const state = await harness.waitForStatus(failing?.sessionId ?? '', ['failed']);
  expect(state.lastError).toContain('syntax error');
});

test('implements a circuit breaker for S3: it fails fast for one bucket, and for no other', async () => {
  const clientId = 'nonexistent-bucket';
  const failed = await harness.createTestSession({
    clientId,
    hasBucket: false,
    instruction: 'Fail test',
  });
  await harness.waitForLog('s3-failed', failed, 5);
  const [opened] = await harness.waitForLog('circuit-open', failed);
  expect(opened?.message).toMatch(/Circuit breaker open.*S3/);
  const { s3 } = harness.stage;
  const sentTo = async (): Promise<number> => {
    const requests = await s3.requests();
    return requests.filter(({ bucket }) => bucket === bucketOf(clientId)).length;
  };
  const sent = await sentTo();
  const fast = await harness.createTestSession({
    clientId,
    hasBucket: false,
    instruction: 'Should fail fast',
  });
  const [prevented] = await harness.waitForLog('circuit-prevented', fast);
  expect(prevented?.message).toContain('Circuit breaker prevented S3 sync');
  expect(harness.logsOf('s3-attempt', fast.sessionId)).toEqual([]);
  expect((await sentTo()) - sent).toBe(0);
  const other = await harness.createTestSession({ clientId: 'circuit-test', instruction: 'Other' });
  await harness.waitForS3Deployment(other);

  await harness.createBucket(bucketOf(clientId));
  // The circuits of another worker are closed.
  await harness.replaceWorker();
  await harness.waitForS3Deployment(failed);
  await harness.waitForS3Deployment(fast);
});

test('handles network disconnection: no packet passes, and what was pending completes when they do', async () => {
  // Each stage tells the session how it is, twice: without a network as long as the store is waited for.
  await harness.replaceWorker({ storeTimeoutMs: 1_000 });
  const session = await harness.holdModel(async (release) => {
    const created = await harness.createTestSession({
      clientId: 'network-fail',
      instruction: 'Test network failure',
    });
    await harness.waitForLog('stage-done', created);
    await harness.simulateNetworkPartition(async () => {
      release();
      const [lost] = await harness.waitForLog('network-error', created);
      expect(lost?.message).toContain('Network error');
    });
    return created;
  });
  const [restored] = await harness.waitForLog('network-restored', session);
  expect(restored?.message).toBe('Connection restored');
  await harness.waitForS3Deployment(session);
});
