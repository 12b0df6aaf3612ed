import type { StepContext } from '@holdfast/operations';
import { pushBranch } from '../git/push-branch.ts';
import type { PushOutcome, PushProgress } from '../git/push-outcome.ts';
import type { RunScope } from './run-scope.ts';
import type { RunSources } from './run-workspace.ts';
import type { SessionChange } from './session-store.ts';

/** Where the commit of an edit ended. */
type PushEnd =
  | { readonly kind: 'pushed'; readonly commit: string }
  | { readonly kind: 'conflict'; readonly sideBranch: string; readonly paths: readonly string[] }
  | { readonly kind: 'given-up'; readonly reason: string };

type SavedLocally = Extract<PushOutcome, { readonly kind: 'saved-locally' }>;

/** Pushes in rounds until the remote has the commit, or says that it will not. */
export async function push(scope: RunScope, sources: RunSources, commit: string): Promise<PushEnd> {
  const { maxRounds } = scope.shared.options;
  for (let round = 0; ; round += 1) {
    const credential = scope.shared.options.remote.credentials.version();
    const outcome = await scope.stage(
      `push-${round + 1}`,
      'push',
      (step) => pushOnce(scope, sources, commit, step),
      afterPush,
    );
    if (outcome.kind === 'pushed') return { kind: 'pushed', commit: outcome.commit };
    if (outcome.kind === 'refused') return { kind: 'given-up', reason: outcome.reason };
    if (outcome.kind === 'conflict') {
      return { kind: 'conflict', sideBranch: outcome.sideBranch, paths: outcome.report.paths };
    }
    if (round >= maxRounds) return { kind: 'given-up', reason: reasonOf(outcome) };
    await waitForNext(scope, outcome, { round, credential });
  }
}

async function pushOnce(
  scope: RunScope,
  sources: RunSources,
  commit: string,
  { signal }: StepContext,
): Promise<PushOutcome> {
  const { workspace, shared, editKey, input } = scope;
  const { clock, random, maxPushAttempts: maxAttempts, remote } = shared.options;
  const { branch, base } = sources;
  const sideBranch = `conflict/${editKey}`;
  const outcome = await shared.lanes.run(remote.url, branch, signal, async () => {
    // On another machine than before the commit is made again, and is the same.
    await workspace.commit(sources, signal);
    return pushBranch(
      workspace.git,
      { branch, commit, base, editKey, sideBranch },
      {
        clock,
        random,
        maxAttempts,
        signal,
        onProgress: (progress) => logProgress(scope, progress),
      },
    );
  });
  logOutcome(scope, outcome, input.branch);
  return outcome;
}

async function waitForNext(
  scope: RunScope,
  { failure }: SavedLocally,
  { round, credential }: { readonly round: number; readonly credential: number },
): Promise<void> {
  const { context, shared } = scope;
  if (failure.kind !== 'denied') {
    await scope.pause(round, 'retryAfterMs' in failure ? failure.retryAfterMs : null);
    return;
  }
  const { waitingForCredential, options } = shared;
  waitingForCredential.add(context.runId);
  // It came while the push was refused: the message ends the wait, here and in a replay.
  if (options.remote.credentials.version() !== credential) shared.wake([context.runId]);
  try {
    await context.receive('retry', { timeoutMs: options.credentialWaitMs });
  } finally {
    waitingForCredential.delete(context.runId);
  }
}

function afterPush(outcome: PushOutcome): SessionChange {
  const { commit } = outcome;
  if (outcome.kind === 'pushed') return { commit, lastError: undefined };
  if (outcome.kind === 'conflict') return { commit, sideBranch: outcome.sideBranch };
  if (outcome.kind === 'refused') return { commit, lastError: `push refused: ${outcome.reason}` };
  return { commit, status: 'waiting', lastError: `git push: ${reasonOf(outcome)}` };
}

function reasonOf({ failure }: SavedLocally): string {
  switch (failure.kind) {
    case 'denied': {
      return 'Authentication failed';
    }
    case 'rate-limited': {
      return 'the remote limits the rate of requests';
    }
    case 'unavailable': {
      return `the remote answers ${failure.status}`;
    }
    case 'unreachable': {
      return `the remote is unreachable: ${failure.reason}`;
    }
    case 'missing': {
      return 'the remote has no such repository';
    }
    case 'timeout': {
      return 'the remote does not answer';
    }
    case 'contended':
    default: {
      return `others were faster ${failure.attempts} times`;
    }
  }
}

function logProgress(scope: RunScope, progress: PushProgress): void {
  switch (progress.kind) {
    case 'rejected': {
      const message = `git push rejected: ${progress.reason}`;
      return scope.log('push', 'git-push-rejected', 'warning', message);
    }
    case 'pulling': {
      return scope.log('push', 'git-pulling', 'info', `Pulling changes up to ${progress.commit}`);
    }
    case 'rebasing': {
      return scope.log('push', 'git-rebasing', 'info', `Rebasing onto ${progress.onto}`);
    }
  }
}

function logOutcome(scope: RunScope, outcome: PushOutcome, branch: string): void {
  switch (outcome.kind) {
    case 'pushed': {
      scope.networkFound('push');
      return scope.log('push', 'git-push-complete', 'info', `Git push complete: ${branch}`);
    }
    case 'conflict': {
      const { paths } = outcome.report;
      const message = `Merge conflict in ${paths.join(', ')}: saved on ${outcome.sideBranch}`;
      return scope.log('push', 'git-merge-conflict', 'error', message);
    }
    case 'refused': {
      const message = `git push refused: ${outcome.reason}`;
      return scope.log('push', 'git-push-refused', 'error', message);
    }
    case 'saved-locally': {
      const { kind } = outcome.failure;
      const reason = reasonOf(outcome);
      if (kind === 'denied') scope.log('push', 'git-authentication-failed', 'error', reason);
      if (kind === 'unreachable' || kind === 'timeout') scope.networkLost('push', reason);
      return scope.log('push', 'git-saved-locally', 'warning', `Saved work locally: ${reason}`);
    }
  }
}
