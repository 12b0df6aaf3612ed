import { HoldfastError } from '@holdfast/foundation';

/** Mode `local` found no git that can serve over HTTP. */
export class GitNotFoundError extends HoldfastError {
  readonly code = 'GIT_NOT_FOUND';

  /** @param seen what was found instead. */
  constructor(seen: string) {
    super(
      `openStage: ${seen}. Install it: 'apt-get install git' (Debian, Ubuntu), ` +
        `'dnf install git' (Fedora, RHEL), 'apk add git git-daemon' (Alpine), 'brew install git' (macOS)`,
      { outcome: 'not-applied' },
    );
  }
}
