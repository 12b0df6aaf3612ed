import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { SMALL_SITE } from '../../src/error-recovery/edits.ts';
import { ErrorRecoveryHarness } from '../../src/error-recovery/harness.ts';

const MIB = 1_048_576;

let harness: ErrorRecoveryHarness;
beforeAll(async () => {
  harness = await ErrorRecoveryHarness.open({
    buildMaxMemoryBytes: 400 * MIB,
  });
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => harness.close());

test('handles build errors: nothing is deployed or committed, and the next instruction recovers', async () => {
  harness.script('Delete package.json file', [{ path: 'package.json', content: null }]);
  const session = await harness.createTestSession({ instruction: 'Delete package.json file' });
  const [failed] = await harness.waitForLog('build-failed', session);
  expect(failed?.message).toMatch(/Build failed.*254/);
  const broken = await harness.waitForStatus(session.sessionId, ['failed']);
  expect(broken.lastError).toContain('build');
  expect(harness.logsOf('s3-attempt', session.sessionId)).toEqual([]);
  expect(await harness.getGitCommits(session.branch)).toEqual([]);
  expect(await harness.listS3Objects(session.clientId)).toEqual([]);

  const content = SMALL_SITE['package.json'] ?? '';
  harness.script('Restore package.json file', [{ path: 'package.json', content }]);
  await harness.worker.service.sendMessage(session.sessionId, 'Restore package.json file');
  await harness.waitForLog('build-complete', session);
  await harness.waitForS3Deployment(session);
  expect((await harness.getSessionState(session.sessionId)).lastError).toBeUndefined();
});

test('a build with warnings that ends with 0 is deployed, and the session is marked', async () => {
  harness.script('Add a warning', [{ path: 'build.json', content: 'BUILD_WARNING' }]);
  const session = await harness.createTestSession({ instruction: 'Add a warning' });
  await harness.waitForLog('build-completed-with-warnings', session);
  await harness.waitForS3Deployment(session);
  expect((await harness.listS3Objects(session.clientId)).length).toBeGreaterThan(0);
  const { warnings } = await harness.getSessionState(session.sessionId);
  expect(warnings).toEqual(['[WARN] a component has no name']);
});

test('a build that fails with all its pages written deploys none of them', async () => {
  harness.script('Create a syntax error', [{ path: 'build.json', content: 'BUILD_ERROR' }]);
  const session = await harness.createTestSession({ instruction: 'Create a syntax error' });
  const state = await harness.waitForStatus(session.sessionId, ['failed']);
  expect(state.lastError).toContain('a component has a syntax error');
  expect(await harness.listS3Objects(session.clientId)).toEqual([]);
});

test('a build that hangs is ended at its deadline with all that it started', async () => {
  harness.script('Hang', [{ path: 'build.json', content: 'BUILD_HANG' }]);
  await harness.replaceWorker({ buildTimeoutMs: 2_000 });
  const session = await harness.createTestSession({ instruction: 'Hang' });
  const state = await harness.waitForStatus(session.sessionId, ['failed']);
  expect(state.lastError).toContain('stopped after 2000 ms');
  await harness.replaceWorker();
});

test('a build that runs out of memory is ended, the worker is not, and the failure says so', async () => {
  harness.script('Fill the memory', [{ path: 'build.json', content: 'BUILD_OOM' }]);
  const session = await harness.createTestSession({ instruction: 'Fill the memory' });
  const state = await harness.waitForStatus(session.sessionId, ['failed']);
  expect(state.lastError).toContain('out of memory');
  const other = await harness.createTestSession({ instruction: 'After that' });
  await harness.waitForS3Deployment(other);
});

test('an edit that leaves the sources is refused, and nothing of it is written', async () => {
  harness.script('Leave the sources', [{ path: '../../outside.txt', content: 'x' }]);
  const session = await harness.createTestSession({ instruction: 'Leave the sources' });
  const state = await harness.waitForStatus(session.sessionId, ['failed']);
  expect(state.lastError).toContain('the edit was refused');
  expect(state.deadLetters).toEqual([]);
});
