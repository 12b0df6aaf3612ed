import { describeThrown, onAbort } from '@holdfast/foundation';
import { canonicalName } from '../addresses/hostname.ts';
import type { AddressSource, FollowOptions, RouteNode } from './balancer.ts';

interface FollowDeps<N> {
  /** Aborts when the balancer is closed. */
  readonly closing: AbortSignal;
  setNodes(nodes: readonly N[]): void;
}

/**
 * Sets the nodes to the addresses of a name, and again with each change. A change that comes while the first answer is on
 * its way counts, if it is newer.
 */
export async function followAddresses<N extends RouteNode>(
  source: AddressSource,
  options: FollowOptions<N>,
  deps: FollowDeps<N>,
): Promise<() => void> {
  const { nodeOf, signal } = options;
  // As the resolver writes names; what is no name, it refuses.
  const hostname = canonicalName(options.hostname)?.name ?? options.hostname;
  let revision = -1;
  let isOver = false;
  const unsubscribe = source.on('changed', (change) => {
    if (change.hostname !== hostname || change.revision <= revision) return;
    void refresh();
  });
  const stopWatching = source.watch?.(hostname);
  const release = onAbort(deps.closing, () => stop());
  const stop = (): void => {
    if (isOver) return;
    isOver = true;
    unsubscribe();
    stopWatching?.();
    release();
  };
  const resolve = async (): Promise<void> => {
    const found = await source.resolve(hostname, signal === undefined ? {} : { signal });
    if (isOver || found.revision < revision) return;
    revision = found.revision;
    deps.setNodes(found.addresses.map(({ address }) => nodeOf(address)));
  };
  const refresh = async (): Promise<void> => {
    await resolve().catch((error: unknown) => {
      const kept = 'the nodes stay as they are until its next change';
      if (!isOver) process.emitWarning(`following ${hostname}: ${describeThrown(error)}; ${kept}`);
    });
  };
  try {
    await resolve();
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}
