import type { RemoteFailure } from './probe-remote.ts';

/** What became of a push. The commit is in the workspace in every case. */
export type PushOutcome =
  | {
      readonly kind: 'pushed';
      /** The commit on the remote: another one than was made when it was rebased. */
      readonly commit: string;
      readonly rebased: boolean;
      /** It was there already: an earlier push had arrived, and its response had not. */
      readonly wasThere: boolean;
      readonly attempts: number;
    }
  | {
      readonly kind: 'conflict';
      /** The branch on the remote that has the commit as it was made. */
      readonly sideBranch: string;
      readonly commit: string;
      readonly report: ConflictReport;
    }
  | {
      readonly kind: 'saved-locally';
      readonly commit: string;
      readonly failure: RemoteFailure | { readonly kind: 'contended'; readonly attempts: number };
    }
  | { readonly kind: 'refused'; readonly commit: string; readonly reason: string };

/** Why a commit does not go on top of what others pushed. */
export type ConflictReport = {
  /** `rewritten`: what the edit began from is no longer in the branch. */
  readonly kind: 'same-lines' | 'rewritten';
  /** Files that both sides changed. */
  readonly paths: readonly string[];
  /** The commit of the branch at that time. */
  readonly theirs: string;
};

/** What a push does, as it does it. */
export type PushProgress =
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'pulling'; readonly commit: string }
  | { readonly kind: 'rebasing'; readonly onto: string };
