import { sleep } from '@holdfast/foundation';
import { StaleFenceError, SiteStoreError } from '../errors.ts';
import type { PublishDeps } from './publish-options.ts';
import type { PublishStamp } from './publish-stamp.ts';
import { POINTER_KEY, type Pointer, type PointerVersion, readPointer } from './release.ts';

/** What became of the pointer. */
export type PointerMove =
  | { readonly kind: 'moved' }
  | { readonly kind: 'was-current' }
  | { readonly kind: 'superseded'; readonly by: Pointer };

const HEADERS = { contentType: 'application/json', cacheControl: 'no-store' };

/** What the pointer says to a publish that wants to move it. */
type PointerDecision = 'move' | 'was-current' | 'superseded' | 'stale-fence';

/**
 * Decides by the pointer alone: a later commit of the same branch stays; of one commit the first release stays, unless a later owner of
 * the same run comes; a run whose owner has changed accepts no effect of the former one.
 */
export function decideMove(
  pointer: Pointer | undefined,
  release: string,
  { branch, order, run, fence }: Omit<PublishStamp, 'commit'>,
): PointerDecision {
  if (pointer === undefined) return 'move';
  if (pointer.run === run && BigInt(pointer.fence) > fence) return 'stale-fence';
  if (pointer.branch !== branch) return 'move';
  if (pointer.order > order) return 'superseded';
  if (pointer.order < order) return 'move';
  if (pointer.release === release) return 'was-current';
  return pointer.run === run && BigInt(pointer.fence) < fence ? 'move' : 'superseded';
}

/** Writes the pointer by a condition on what it was. @throws StaleFenceError; SiteStoreError; ReleaseDamagedError */
export async function movePointer(
  release: string,
  stamp: PublishStamp,
  deps: PublishDeps,
): Promise<PointerMove> {
  const { store, maxPointerAttempts, retryDelayMs, clock } = deps.options;
  let last: SiteStoreError | undefined;
  for (let attempt = 1; attempt <= maxPointerAttempts; attempt += 1) {
    const found = await readPointer(store, deps);
    const decision = decideMove(found?.pointer, release, stamp);
    if (found !== undefined && decision === 'stale-fence') {
      throw new StaleFenceError(store.name, stamp.fence, BigInt(found.pointer.fence));
    }
    if (found !== undefined && decision === 'superseded') {
      return { kind: 'superseded', by: found.pointer };
    }
    if (decision === 'was-current') return { kind: attempt === 1 ? 'was-current' : 'moved' };
    try {
      const written = await writePointer(pointerOf(release, stamp, found, deps), found?.etag, deps);
      if (written !== 'conflict') return { kind: 'moved' };
    } catch (error) {
      // Nobody knows whether it arrived: the next look does.
      if (!(error instanceof SiteStoreError) || !error.retryable) throw error;
      last = error;
      await sleep(clock, retryDelayMs * attempt, deps.signal);
    }
  }
  throw (
    last ?? new SiteStoreError('conflict', `the pointer of ${store.name} was moved all the time`)
  );
}

/** Writes the pointer if it still has that ETag, or if there is none. @throws SiteStoreError */
export function writePointer(
  pointer: Pointer,
  etag: string | undefined,
  { options, signal }: PublishDeps,
): Promise<{ readonly etag: string } | 'conflict'> {
  const condition = etag === undefined ? ({ ifAbsent: true } as const) : { ifMatch: etag };
  const body = Buffer.from(JSON.stringify(pointer));
  return options.store.put(POINTER_KEY, body, HEADERS, condition, { signal });
}

function pointerOf(
  release: string,
  { branch, order, run, fence, commit }: PublishStamp,
  found: PointerVersion | undefined,
  { options }: PublishDeps,
): Pointer {
  const before = found === undefined ? [] : [found.pointer.release, ...found.pointer.previous];
  const previous = [...new Set(before)].filter((id) => id !== release);
  return {
    release,
    branch,
    order,
    run,
    fence: String(fence),
    commit,
    publishedAtMs: options.clock.epochMs(),
    previous: previous.slice(0, options.keptReleases),
  };
}
