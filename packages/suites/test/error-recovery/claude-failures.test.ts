import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { ErrorRecoveryHarness } from '../../src/error-recovery/harness.ts';

let harness: ErrorRecoveryHarness;
beforeAll(async () => {
  harness = await ErrorRecoveryHarness.open({
    modelTimeoutMs: 3_000,
    modelIdleTimeoutMs: 1_500,
  });
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => harness.claude.clearMocks());
afterAll(() => harness.close());

test('handles Claude API timeouts: it is tried again after a pause, and succeeds when they end', async () => {
  harness.claude.mockClaudeDelay(600_000);
  const session = await harness.createTestSession({ instruction: 'Complex task requiring Claude' });
  const [late] = await harness.waitForLog('claude-timeout', session);
  expect(late?.message).toContain('Claude request timeout');
  const [retrying] = await harness.waitForLog('claude-retrying', session);
  expect(retrying?.message).toContain('Retrying Claude request');
  harness.claude.clearMocks();
  await harness.waitForLog('claude-completed', session);
  await harness.waitForS3Deployment(session);
});

test('handles Claude API errors: after a 429 it backs off longer each time, and recovers', async () => {
  harness.claude.mockClaudeError(429, 'Rate limit exceeded', { times: 3 });
  const session = await harness.createTestSession({ instruction: 'Test Claude error' });
  const [error] = await harness.waitForLog('claude-error', session);
  expect(error?.message).toMatch(/Claude API error.*429/);
  const lines = await harness.waitForLog('claude-backing-off', session, 3);
  const seconds = lines.map(({ message }) =>
    Number(/Backing off ([\d.]+) seconds/.exec(message)?.[1]),
  );
  expect(seconds[2]).toBeGreaterThan(Number(seconds[0]) * 2);
  await harness.waitForLog('claude-completed', session);
  await harness.waitForS3Deployment(session);
});

test('an answer that is cut is asked for again, and its first half is never an edit', async () => {
  harness.claude.mockClaudeCut('reset', { times: 1 });
  harness.claude.mockClaudeCut('silence', { times: 1 });
  const before = harness.claude.requests().length;
  const session = await harness.createTestSession({ instruction: 'Cut twice' });
  await harness.waitForS3Deployment(session);
  const requests = harness.claude.requests().slice(before);
  expect(requests.filter(({ isComplete }) => isComplete)).toHaveLength(1);
  expect(await harness.getGitCommits(session.branch)).toEqual(['Cut twice', 'the site']);
});

test('a refusal of Claude is told at once, and a redrive asks again', async () => {
  harness.claude.mockClaudeError(400, 'the prompt is too long');
  const session = await harness.createTestSession({ instruction: 'Too long' });
  const state = await harness.waitForStatus(session.sessionId, ['failed']);
  expect(state.lastError).toContain('the prompt is too long');
  expect(harness.logsOf('claude-retrying', session.sessionId)).toEqual([]);
  harness.claude.clearMocks();
  await harness.worker.service.resumeSession(session.sessionId);
  await harness.waitForS3Deployment(session);
});
