import { type VerifiedBuild, isVerified } from '../build/verified-build.ts';
import { BuildNotVerifiedError, ReleaseMissingError, SiteStoreError } from '../errors.ts';
import { type PointerMove, decideMove, movePointer, writePointer } from './move-pointer.ts';
import {
  type PublishDeps,
  type PublisherOptions,
  parsePublisherOptions,
} from './publish-options.ts';
import {
  type Pointer,
  type SiteRelease,
  objectKey,
  readPointer,
  readRelease,
  releaseKey,
  releaseOf,
} from './release.ts';
import type { PublishStamp } from './publish-stamp.ts';
import { type UploadedKey, type UploadResult, uploadFiles } from './upload.ts';

/** What became of a publish, with each file by its path. */
export type PublishOutcome =
  | {
      readonly kind: 'published';
      readonly release: string;
      /** The site was this one already. */
      readonly wasCurrent: boolean;
      readonly keys: readonly UploadedKey[];
      readonly uploadedBytes: number;
    }
  /** A later commit is published; it contains this one. */
  | { readonly kind: 'superseded'; readonly by: Pointer }
  | {
      readonly kind: 'failed';
      readonly error: SiteStoreError;
      readonly keys: readonly UploadedKey[];
    };

/** Publishes builds as immutable releases, behind one pointer. */
export interface Publisher {
  /**
   * Uploads what the store does not have, then moves the pointer. Until then visitors see the site before it.
   *
   * @throws BuildNotVerifiedError; StaleFenceError; ReleaseDamagedError; the reason of the signal
   */
  publish(
    build: VerifiedBuild,
    stamp: PublishStamp,
    options?: { readonly signal?: AbortSignal },
  ): Promise<PublishOutcome>;
  /**
   * Points to an earlier release, by one conditional write. Later publishes of earlier commits stay refused.
   *
   * @param release Default: the one before the current one.
   * @throws ReleaseMissingError; SiteStoreError; the reason of the signal
   */
  rollback(options?: {
    readonly release?: string;
    readonly signal?: AbortSignal;
  }): Promise<Pointer>;
  /** What is published; `undefined` before the first publish. @throws SiteStoreError; ReleaseDamagedError */
  current(options?: { readonly signal?: AbortSignal }): Promise<Pointer | undefined>;
}

const IMMUTABLE = 'public, max-age=31536000, immutable';

/**
 * Publishes verified builds as immutable releases, and moves a pointer to them.
 * @throws InvalidOptionError
 */
export function createPublisher(given: PublisherOptions): Publisher {
  const options = parsePublisherOptions('createPublisher', given);
  return {
    publish: (build, stamp, { signal = new AbortController().signal } = {}) =>
      publish(build, stamp, { options, signal }),
    rollback: ({ release, signal = new AbortController().signal } = {}) =>
      rollback(release, { options, signal }),
    current: async (call) => (await readPointer(options.store, call))?.pointer,
  };
}

async function publish(
  build: VerifiedBuild,
  stamp: PublishStamp,
  deps: PublishDeps,
): Promise<PublishOutcome> {
  if (!isVerified(build)) throw new BuildNotVerifiedError('this is no verified build');
  let keys: readonly UploadedKey[] = [];
  try {
    const { store } = deps.options;
    const found = await readPointer(store, deps);
    const release = releaseOf(build);
    // Decided again at the pointer; here it saves the uploads.
    if (found !== undefined && decideMove(found.pointer, release.id, stamp) === 'superseded') {
      return { kind: 'superseded', by: found.pointer };
    }
    const uploaded = await uploadRelease(build, release, found?.pointer, deps);
    ({ keys } = uploaded);
    if (uploaded.failure !== undefined) return { kind: 'failed', error: uploaded.failure, keys };
    return outcomeOf(release, await movePointer(release.id, stamp, deps), keys);
  } catch (error) {
    if (error instanceof SiteStoreError) return { kind: 'failed', error, keys };
    throw error;
  }
}

/** Everything of a release is in the store before its list is, and its list before the pointer. */
async function uploadRelease(
  build: VerifiedBuild,
  release: SiteRelease,
  current: Pointer | undefined,
  deps: PublishDeps,
): Promise<UploadResult> {
  const { store } = deps.options;
  const before =
    current === undefined ? undefined : await readRelease(store, current.release, deps);
  const known = new Set(before?.files.map(({ sha256 }) => sha256));
  const seen = new Set<string>();
  const keys: UploadedKey[] = [];
  const changed = release.files.filter(({ sha256, path }) => {
    const isNew = !known.has(sha256) && !seen.has(sha256);
    seen.add(sha256);
    if (!isNew) keys.push({ kind: 'present', path });
    return isNew;
  });
  const uploaded = await uploadFiles(
    build,
    changed,
    async (file, content, signal) => {
      const key = objectKey(file.sha256);
      if ((await store.sizeOf(key, { signal })) === file.bytes) return false;
      const headers = { contentType: file.contentType, cacheControl: IMMUTABLE };
      await store.put(key, content, headers, { always: true }, { signal });
      return true;
    },
    deps,
  );
  if (uploaded.failure === undefined) await writeRelease(release, deps);
  return { keys: [...keys, ...uploaded.keys], failure: uploaded.failure };
}

async function writeRelease(release: SiteRelease, { options, signal }: PublishDeps): Promise<void> {
  const body = Buffer.from(JSON.stringify(release));
  const headers = { contentType: 'application/json', cacheControl: IMMUTABLE };
  // Its name is its content: a release that is there is this one.
  await options.store.put(releaseKey(release.id), body, headers, { ifAbsent: true }, { signal });
}

function outcomeOf(
  release: SiteRelease,
  move: PointerMove,
  keys: readonly UploadedKey[],
): PublishOutcome {
  if (move.kind === 'superseded') return { kind: 'superseded', by: move.by };
  const sizes = keys.map((key) => (key.kind === 'uploaded' ? key.bytes : 0));
  return {
    kind: 'published',
    release: release.id,
    wasCurrent: move.kind === 'was-current',
    keys,
    uploadedBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
  };
}

async function rollback(wanted: string | undefined, deps: PublishDeps): Promise<Pointer> {
  const { store, clock, maxPointerAttempts } = deps.options;
  for (let attempt = 1; attempt <= maxPointerAttempts; attempt += 1) {
    const found = await readPointer(store, deps);
    const release = wanted ?? found?.pointer.previous[0] ?? '';
    if (found === undefined || release === '') throw new ReleaseMissingError('before the current');
    if (found.pointer.release === release) return found.pointer;
    const size = await store.sizeOf(releaseKey(release), deps);
    if (size === undefined) throw new ReleaseMissingError(release);
    const pointer = {
      ...found.pointer,
      release,
      publishedAtMs: clock.epochMs(),
      previous: [found.pointer.release, ...found.pointer.previous.filter((id) => id !== release)],
    };
    const written = await writePointer(pointer, found.etag, deps);
    if (written !== 'conflict') return pointer;
  }
  throw new SiteStoreError('conflict', `the pointer of ${store.name} was moved all the time`);
}
