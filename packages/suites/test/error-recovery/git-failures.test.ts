import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { page } from '../../src/error-recovery/edits.ts';
import { ErrorRecoveryHarness, type TestSession } from '../../src/error-recovery/harness.ts';

const SESSIONS_ON_ONE_BRANCH = 12;

let harness: ErrorRecoveryHarness;
beforeAll(async () => {
  harness = await ErrorRecoveryHarness.open();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => harness.stage.git.setFaults([]));
afterAll(() => harness.close());

/** A session that has read its branch, and waits for the model while something happens. */
function begun(
  instruction: string,
  meanwhile: (session: TestSession) => unknown,
): Promise<TestSession> {
  return harness.holdModel(async () => {
    const session = await harness.createTestSession({ instruction });
    await harness.waitForLog('stage-done', session);
    await meanwhile(session);
    return session;
  });
}

test('handles git push conflicts: both changes are in the history, and both are on the site', async () => {
  const chatThreadId = 'conflict-test';
  const first = await harness.createTestSession({
    chatThreadId,
    instruction: 'Create initial content',
  });
  await harness.waitForS3Deployment(first);
  const second = await harness.holdModel(async () => {
    const session = await harness.createTestSession({
      chatThreadId,
      clientId: first.clientId,
      instruction: 'Make different changes',
    });
    // It has read the branch when somebody else pushes to it.
    await harness.waitForLog('stage-done', session);
    await harness.pushDirectToGit(session.branch, { 'pages/external.html': page('external') });
    return session;
  });
  await harness.waitForLog('git-rebasing', second);
  await harness.waitForLog('git-push-complete', second);
  await harness.waitForS3Deployment(second);
  expect(await harness.getGitCommits(second.branch)).toEqual([
    'Make different changes',
    'from elsewhere',
    'Create initial content',
    'the site',
  ]);
  // What is published was built after the rebase: it has the page from elsewhere.
  const pointer = await harness.pointer(first.clientId);
  const release = await harness.store(first.clientId).get(`releases/${pointer?.release}.json`);
  expect(String(release?.body)).toContain('external.html');
});

test('a true conflict goes to a side branch, with the files in the state of the session', async () => {
  const instruction = 'Rewrite the start page';
  harness.script(instruction, [{ path: 'pages/index.html', content: page('mine') }]);
  const session = await begun(instruction, ({ branch }) =>
    harness.pushDirectToGit(branch, { 'pages/index.html': page('theirs') }),
  );
  const state = await harness.waitForStatus(session.sessionId, ['conflict']);
  expect(state).toMatchObject({
    sideBranch: `conflict/${session.sessionId}.1`,
    lastError: 'merge conflict in pages/index.html',
  });
  await harness.waitForLog('git-merge-conflict', session);
  expect(await harness.getGitCommits(`conflict/${session.sessionId}.1`)).toContain(instruction);
  expect(await harness.getGitCommits(session.branch)).toEqual(['from elsewhere', 'the site']);
});

test('handles git authentication failures: work is saved locally, and a new credential completes it', async () => {
  const password = 'valid-token';
  harness.worker.useGitPassword(password);
  await harness.stage.git.setFaults([
    { kind: 'credentials', service: 'push', username: 'publisher', password },
  ]);
  const session = await begun('Test auth failure', () =>
    harness.worker.useGitPassword('invalid-token'),
  );
  const [refused] = await harness.waitForLog('git-authentication-failed', session);
  expect(refused?.message).toBe('Authentication failed');
  await harness.waitForLog('git-saved-locally', session);
  const waiting = await harness.waitForStatus(session.sessionId, ['waiting']);
  expect(waiting).toMatchObject({ lastError: 'git push: Authentication failed' });
  const before = (await harness.stage.git.requests()).length;
  // By hand it is tried again, and refused again; nothing hammers in between.
  await harness.worker.service.retryGitPush(session.sessionId);
  await harness.waitForLog('git-saved-locally', session, 2);
  expect((await harness.stage.git.requests()).length - before).toBeLessThanOrEqual(2);
  harness.worker.useGitPassword(password);
  await harness.waitForLog('git-push-complete', session);
  await harness.waitForS3Deployment(session);
  harness.worker.useGitPassword(undefined);
});

test('a remote that hangs is a timeout and no refusal, and a limit of requests is waited out', async () => {
  const session = await begun('Push to a hung remote', () =>
    harness.stage.git.setFaults([{ kind: 'slow', service: 'push', delayMs: 600_000 }]),
  );
  const [hung] = await harness.waitForLog('git-saved-locally', session);
  expect(hung?.message).toContain('does not answer');
  await harness.stage.git.setFaults([{ kind: 'status', service: 'push', status: 429, times: 1 }]);
  await harness.waitForS3Deployment(session);
  const messages = harness.logsOf('git-saved-locally', session.sessionId);
  expect(messages.map(({ message }) => message)).toContainEqual(expect.stringContaining('limits'));
  expect(harness.logsOf('git-authentication-failed', session.sessionId)).toEqual([]);
});

test('a hook that declines the push is a decision: nothing is tried again by itself', async () => {
  const session = await begun('Declined by a hook', () =>
    harness.stage.git.setFaults([{ kind: 'rejectPush', message: 'frozen' }]),
  );
  const state = await harness.waitForStatus(session.sessionId, ['failed']);
  expect(state.lastError).toContain('hook declined');
  expect(state.deadLetters).toMatchObject([{ stage: 'push', number: 1 }]);
  await harness.stage.git.setFaults([]);
  await harness.worker.service.resumeSession(session.sessionId);
  await harness.waitForS3Deployment(session);
});

test('twelve sessions on one branch push one after the other, and none races another', async () => {
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS_ON_ONE_BRANCH }, async (_, index) =>
      harness.createTestSession({
        chatThreadId: 'shared',
        clientId: 'shared',
        instruction: `Page ${index} of twelve`,
      }),
    ),
  );
  for (const session of sessions) await harness.waitForS3Deployment(session);
  const commits = await harness.getGitCommits('thread-shared');
  expect(commits).toHaveLength(SESSIONS_ON_ONE_BRANCH + 1);
  const rejected = sessions.flatMap(({ sessionId }) =>
    harness.logsOf('git-push-rejected', sessionId),
  );
  expect(rejected).toEqual([]);
  // Whoever was last, the site has the pages of all.
  const pointer = await harness.pointer('shared');
  const release = await harness.store('shared').get(`releases/${pointer?.release}.json`);
  const pages = String(release?.body).match(/"path":"p-/g) ?? [];
  expect(pages).toHaveLength(SESSIONS_ON_ONE_BRANCH);
});
