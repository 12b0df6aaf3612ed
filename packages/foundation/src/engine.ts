import { HoldfastError } from './errors/errors.ts';

/** What `engines` of every manifest admits. */
export const OLDEST_NODE = '22.22';

/** The Node that runs is too old; nothing was started. */
export class UnsupportedNodeError extends HoldfastError {
  readonly code = 'UNSUPPORTED_NODE';
  /** The version of the Node that runs. */
  readonly seen: string;
  /** The oldest version that will do. */
  readonly needed: string;

  /** @param attempted the function that was called, such as `openStage`. */
  constructor(attempted: string, seen: string, needed: string) {
    super(
      `${attempted}: this is Node ${seen}, and Node ${needed} or newer is needed; nothing was ` +
        `started. Run it with a newer Node`,
      { outcome: 'not-applied' },
    );
    this.seen = seen;
    this.needed = needed;
  }
}

/**
 * Checks the Node before anything is started: on an older one, programs of ours do not run.
 * @param attempted the public function on whose behalf it checks.
 * @throws UnsupportedNodeError
 */
export function requireNode(attempted: string, seen: string = process.versions.node): void {
  const [major = 0, minor = 0] = seen.split('.').map(Number);
  const [neededMajor = 0, neededMinor = 0] = OLDEST_NODE.split('.').map(Number);
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return;
  throw new UnsupportedNodeError(attempted, seen, OLDEST_NODE);
}
