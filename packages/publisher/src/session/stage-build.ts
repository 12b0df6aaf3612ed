import type { StepContext } from '@holdfast/operations';
import { type BuildOutcome, describeBuildFailure } from '../build/build-outcome.ts';
import type { RunScope } from './run-scope.ts';
import type { RunSources } from './run-workspace.ts';
import type { SessionChange, SessionState } from './session-store.ts';

/** A build as it is remembered: its files are made again where they are missing. */
type BuildRecord =
  | { readonly kind: 'built'; readonly digest: string; readonly warnings: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: string };

/** The build of the edit on its own base, before it is committed. */
export const EDIT_BUILD = 'edit';

/** Builds the edit where it was made. */
export async function buildEdit(
  scope: RunScope,
  sources: RunSources,
  { signal }: StepContext,
): Promise<BuildRecord> {
  await scope.workspace.edited(sources, signal);
  return record(scope, await scope.workspace.build(EDIT_BUILD, signal));
}

/** Builds a commit of the branch: one that was rebased has what others changed. */
export async function buildCommit(
  scope: RunScope,
  commit: string,
  { signal }: Pick<StepContext, 'signal'>,
): Promise<BuildRecord> {
  const { workspace, input } = scope;
  await workspace.open(signal);
  await workspace.have(commit, input.branch, signal);
  await workspace.git.checkout(commit, signal);
  return record(scope, await workspace.build(commit, signal));
}

/** What a session shows of a build. */
export function afterBuild(built: BuildRecord, before: SessionState): SessionChange {
  if (built.kind === 'failed') return { lastError: `build failed: ${built.reason}` };
  return { warnings: [...before.warnings, ...built.warnings] };
}

function record(scope: RunScope, outcome: BuildOutcome): BuildRecord {
  if (outcome.kind === 'failed') {
    const reason = describeBuildFailure(outcome.failure);
    scope.log('build', 'build-failed', 'error', `Build failed: ${reason}`);
    return { kind: 'failed', reason };
  }
  const { digest, warnings } = outcome.build;
  if (warnings.length > 0) {
    const message = `Build completed with warnings: ${warnings.length}`;
    scope.log('build', 'build-completed-with-warnings', 'warning', message);
  }
  scope.log('build', 'build-complete', 'info', 'Build complete');
  return { kind: 'built', digest, warnings: warnings.map(({ text }) => text) };
}
