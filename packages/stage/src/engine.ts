import { StageEngineError } from './errors.ts';

/** What `engines` of this package's manifest admits. */
export const OLDEST_NODE = '22.22';

/**
 * Asks for the Node that the stage needs, before anything is started: on an older one the programs that
 * guard its servers do not run.
 * @throws StageEngineError
 */
export function requireNode(attempted: string, seen: string = process.versions.node): void {
  const [major = 0, minor = 0] = seen.split('.').map(Number);
  const [neededMajor = 0, neededMinor = 0] = OLDEST_NODE.split('.').map(Number);
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return;
  throw new StageEngineError(attempted, seen, OLDEST_NODE);
}
