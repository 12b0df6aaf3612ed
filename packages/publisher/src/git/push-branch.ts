import { type Clock, type Random, sleep } from '@holdfast/foundation';
import type { GitWorkspace } from './git-workspace.ts';
import type { ConflictReport, PushOutcome, PushProgress } from './push-outcome.ts';

/** One edit on its way to its branch. */
export interface PushSpec {
  readonly branch: string;
  /** The commit of the edit, whose parent is `base`. */
  readonly commit: string;
  readonly base: string;
  readonly editKey: string;
  /** Where the commit goes when it conflicts with what others pushed. */
  readonly sideBranch: string;
}

/** How a push behaves. */
export interface PushDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Pushes that may lose against others before it is given up for now. */
  readonly maxAttempts: number;
  readonly onProgress: (progress: PushProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

const RACE_PAUSE_MS = 100;
/** Refusals of one and the same tip that make it a decision of the remote and no race. */
const REFUSALS_THAT_COUNT = 2;

type Step = { readonly done: PushOutcome } | { readonly next: string };

/**
 * Brings a commit to its branch: on top of what others pushed, or on a side branch where it conflicts with that. What
 * happened is decided by the refs of the remote; the text that git prints decides nothing.
 * @throws GitCommandError; the reason of the signal
 */
export async function pushBranch(
  workspace: GitWorkspace,
  spec: PushSpec,
  deps: PushDeps,
): Promise<PushOutcome> {
  const { clock, random, signal, maxAttempts, onProgress } = deps;
  let commit = spec.commit;
  let refusals = 0;
  let lastTip: string | undefined = '';
  let reason = '';
  for (let attempts = 1; attempts <= maxAttempts; attempts += 1) {
    const probe = await workspace.probe(signal);
    if (probe.kind !== 'reachable') {
      return { kind: 'saved-locally', commit: spec.commit, failure: probe };
    }
    const tip = probe.refs.get(`refs/heads/${spec.branch}`);
    if (attempts > 1 && tip === lastTip) refusals += 1;
    if (refusals >= REFUSALS_THAT_COUNT) return { kind: 'refused', commit: spec.commit, reason };
    lastTip = tip;
    const step = await place(workspace, { ...spec, commit }, tip, deps, attempts);
    if ('done' in step) return step.done;
    commit = step.next;
    const sent = await workspace.send(commit, spec.branch, signal);
    if (sent.isAccepted) {
      return pushed(commit, { rebased: commit !== spec.commit, wasThere: false, attempts });
    }
    reason = sent.reason;
    onProgress({ kind: 'rejected', reason });
    commit = spec.commit;
    await sleep(clock, Math.ceil(random() * RACE_PAUSE_MS * attempts), signal);
  }
  const failure = { kind: 'contended', attempts: maxAttempts } as const;
  return { kind: 'saved-locally', commit: spec.commit, failure };
}

/** Finds the commit to send on top of the tip, or that there is nothing to send. */
async function place(
  workspace: GitWorkspace,
  spec: PushSpec,
  tip: string | undefined,
  { onProgress, signal }: PushDeps,
  attempts: number,
): Promise<Step> {
  const { commit, base, branch, editKey } = spec;
  if (tip === commit) {
    return { done: pushed(commit, { rebased: false, wasThere: true, attempts }) };
  }
  if (tip === undefined || tip === base) return { next: commit };
  onProgress({ kind: 'pulling', commit: tip });
  const fetched = await workspace.fetch(branch, signal);
  if (await workspace.isAncestor(fetched, commit, signal)) return { next: commit };
  const earlier = await workspace.findEdit(editKey, base, fetched, signal);
  if (earlier !== undefined) {
    return { done: pushed(earlier, { rebased: earlier !== commit, wasThere: true, attempts }) };
  }
  if (!(await workspace.isAncestor(base, fetched, signal))) {
    return pushToSideBranch(
      workspace,
      spec,
      { kind: 'rewritten', paths: [], theirs: fetched },
      signal,
    );
  }
  onProgress({ kind: 'rebasing', onto: fetched });
  const rebased = await workspace.rebaseOnto(commit, fetched, signal);
  if ('commit' in rebased) return { next: rebased.commit };
  const report = { kind: 'same-lines', paths: rebased.paths, theirs: fetched } as const;
  return pushToSideBranch(workspace, spec, report, signal);
}

async function pushToSideBranch(
  workspace: GitWorkspace,
  { commit, sideBranch }: PushSpec,
  report: ConflictReport,
  signal: AbortSignal | undefined,
): Promise<Step> {
  await workspace.send(commit, sideBranch, signal);
  const probe = await workspace.probe(signal);
  if (probe.kind !== 'reachable')
    return { done: { kind: 'saved-locally', commit, failure: probe } };
  if (probe.refs.get(`refs/heads/${sideBranch}`) === commit) {
    return { done: { kind: 'conflict', sideBranch, commit, report } };
  }
  return { done: { kind: 'refused', commit, reason: `${sideBranch} was not taken` } };
}

function pushed(
  commit: string,
  how: { readonly rebased: boolean; readonly wasThere: boolean; readonly attempts: number },
): PushOutcome {
  return { kind: 'pushed', commit, ...how };
}
