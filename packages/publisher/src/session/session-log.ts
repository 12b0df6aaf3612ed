import type { EventKinds } from '@holdfast/foundation';

/** The parts of the way of an edit. */
export type EditStage = 'begin' | 'edit' | 'build' | 'commit' | 'push' | 'publish' | 'end';

/** What happened, as a word to wait for; `message` says the same to people. */
export type SessionLogKind =
  | 'claude-timeout'
  | 'claude-error'
  | 'claude-cut'
  | 'claude-backing-off'
  | 'claude-retrying'
  | 'claude-completed'
  | 'claude-failed'
  | 'edit-refused'
  | 'build-failed'
  | 'build-complete'
  | 'build-completed-with-warnings'
  | 'git-push-rejected'
  | 'git-pulling'
  | 'git-rebasing'
  | 'git-merge-conflict'
  | 'git-authentication-failed'
  | 'git-saved-locally'
  | 'git-push-refused'
  | 'git-push-complete'
  | 'git-lock-removed'
  | 's3-attempt'
  | 's3-failed'
  | 's3-failed-after-retries'
  | 's3-complete'
  | 's3-superseded'
  | 'circuit-open'
  | 'circuit-prevented'
  | 'network-error'
  | 'network-restored'
  | 'dead-letter'
  | 'state-not-saved'
  | 'stage-done';

/** One line of the log of a session. */
export interface SessionLog {
  readonly kind: SessionLogKind;
  readonly level: 'info' | 'warning' | 'error';
  readonly sessionId: string;
  readonly runId: string;
  readonly stage: EditStage;
  readonly message: string;
  readonly atMs: number;
}

/** The events of a pipeline. */
export interface PipelineEvents {
  log: SessionLog;
}

export const pipelineEventKinds: EventKinds<PipelineEvents> = { log: true };
