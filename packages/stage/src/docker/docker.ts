import type { Obstacle } from '../mode.ts';
import type { ServerKind, StageContext } from '../server-kind.ts';
import type { StagedServer } from '../server.ts';

export async function dockerObstacle(
  _images: readonly string[],
  _limits: Pick<StageContext, 'clock' | 'fetchTimeoutMs'>,
  _signal: AbortSignal,
): Promise<Obstacle | undefined> {
  return { why: 'x', wayOut: 'y' };
}

export async function openInDocker(
  _kind: ServerKind,
  _context: StageContext,
  _signal: AbortSignal,
): Promise<StagedServer> {
  throw new Error('not yet');
}
