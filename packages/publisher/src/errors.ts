import { HoldfastError } from '@holdfast/foundation';

/** A command of git that nothing but a defect of the workspace or its disk lets fail. */
export class GitCommandError extends HoldfastError {
  readonly code = 'PUBLISHER_GIT_FAILED';
  /** The arguments of the command up to the first that may be long. */
  readonly command: string;

  constructor(command: string, what: string) {
    super(`git ${command}: ${what}`, { retryable: true, outcome: 'not-applied' });
    this.command = command;
  }
}

/** The branch that new branches begin from is not on the remote. */
export class BaseBranchMissingError extends HoldfastError {
  readonly code = 'PUBLISHER_BASE_BRANCH_MISSING';

  constructor(branch: string) {
    super(`the remote has no branch ${branch} to begin from; push one first`, {
      outcome: 'not-applied',
    });
  }
}

/** What was to be published is not the build that was verified. */
export class BuildNotVerifiedError extends HoldfastError {
  readonly code = 'PUBLISHER_BUILD_NOT_VERIFIED';

  constructor(what: string) {
    super(`${what}; publish only what verifyBuild returned, and leave its files alone`, {
      outcome: 'not-applied',
    });
  }
}

/** The place for builds lies within what is served or built from, or has something else in it. */
export class BuildDirectoryError extends HoldfastError {
  readonly code = 'PUBLISHER_BUILD_DIRECTORY';

  constructor(directory: string, reason: string) {
    super(`a build cannot go to ${directory}: ${reason}`, { outcome: 'not-applied' });
  }
}

/** A store of objects refused or failed; `kind` says whether waiting helps. */
export class SiteStoreError extends HoldfastError {
  readonly code = 'PUBLISHER_STORE_FAILED';
  readonly kind: 'denied' | 'missing-bucket' | 'conflict' | 'unavailable' | 'network';

  constructor(
    kind: SiteStoreError['kind'],
    what: string,
    details: { cause?: unknown; retryAfterMs?: number } = {},
  ) {
    super(what, {
      ...details,
      retryable: kind === 'unavailable' || kind === 'network',
      outcome: kind === 'network' ? 'unknown' : 'not-applied',
    });
    this.kind = kind;
  }
}

/** A release to go back to does not exist any more, or never did. */
export class ReleaseMissingError extends HoldfastError {
  readonly code = 'PUBLISHER_RELEASE_MISSING';

  constructor(release: string) {
    super(`there is no release ${release} in the store`, { outcome: 'not-applied' });
  }
}

/** What the store has under this key is not what this package writes there. */
export class ReleaseDamagedError extends HoldfastError {
  readonly code = 'PUBLISHER_RELEASE_DAMAGED';

  constructor(key: string, reason: string, cause?: unknown) {
    super(`${key} ${reason}`, cause === undefined ? {} : { cause });
  }
}

/** The API of the language model answered with an error. */
export class ModelApiError extends HoldfastError {
  readonly code = 'PUBLISHER_MODEL_API';
  readonly status: number;

  constructor(status: number, message: string, retryable: boolean, retryAfterMs?: number) {
    super(`Claude API error ${status}: ${message}`, {
      retryable,
      outcome: 'not-applied',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
    this.status = status;
  }
}

/** The answer of the language model ended before its end. What it cost is counted. */
export class ModelAnswerCutError extends HoldfastError {
  readonly code = 'PUBLISHER_MODEL_ANSWER_CUT';

  constructor(reason: string, cause?: unknown) {
    super(`the answer of the model is not whole: ${reason}`, {
      retryable: true,
      outcome: 'unknown',
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/** The language model did not answer, or stopped in the middle, for too long. */
export class ModelTimeoutError extends HoldfastError {
  readonly code = 'PUBLISHER_MODEL_TIMEOUT';

  constructor(what: string, limitMs: number) {
    super(`Claude request timeout: ${what} within ${limitMs} ms`, {
      retryable: true,
      outcome: 'unknown',
    });
  }
}

/** The tokens of the budget are used up; no request was sent. */
export class ModelBudgetError extends HoldfastError {
  readonly code = 'PUBLISHER_MODEL_BUDGET';

  constructor(usedTokens: number, maxTokens: number) {
    super(`the budget of ${maxTokens} tokens does not suffice: ${usedTokens} are used`, {
      outcome: 'not-applied',
    });
  }
}

/** The model's answer is no edit, or one that leaves the site. Nothing was changed. */
export class EditRefusedError extends HoldfastError {
  readonly code = 'PUBLISHER_EDIT_REFUSED';

  constructor(reason: string) {
    super(`the edit was refused: ${reason}`, { outcome: 'not-applied' });
  }
}

/** Another worker has taken over this run; this one must not take effect any more. */
export class StaleFenceError extends HoldfastError {
  readonly code = 'PUBLISHER_STALE_FENCE';

  constructor(what: string, fence: bigint, seen: bigint) {
    super(`${what} has seen the fence ${seen}; this one has ${fence}`, {
      outcome: 'not-applied',
    });
  }
}

/** There is no such session. */
export class UnknownSessionError extends HoldfastError {
  readonly code = 'PUBLISHER_UNKNOWN_SESSION';

  constructor(sessionId: string) {
    super(`there is no session ${sessionId}`, { outcome: 'not-applied' });
  }
}
