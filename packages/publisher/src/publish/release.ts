import { digestOf, sha256Of } from '../build/verify-build.ts';
import type { BuiltFile, VerifiedBuild } from '../build/verified-build.ts';
import { ReleaseDamagedError } from '../errors.ts';
import type { SiteStore, SiteCallOptions } from './site-store.ts';

/** All files of a site as they were published together. Never changed. */
export interface SiteRelease {
  /** The digest of paths and contents: equal sites are one release. */
  readonly id: string;
  readonly files: readonly BuiltFile[];
}

/** The one object that says which release is served. */
export interface Pointer {
  readonly release: string;
  readonly branch: string;
  /** The place of its source in its branch: a publish of an earlier place is refused, also after a rollback. */
  readonly order: number;
  /** The run that wrote it, and the fence it had. */
  readonly run: string;
  readonly fence: string;
  readonly commit: string;
  readonly publishedAtMs: number;
  /** The releases before it, the newest first. */
  readonly previous: readonly string[];
}

/** The pointer with the ETag to replace it by. */
export interface PointerVersion {
  readonly pointer: Pointer;
  readonly etag: string;
}

/** The key of the pointer. */
export const POINTER_KEY = 'current.json';

/** The key of the content with this digest. */
export function objectKey(sha256: string): string {
  return `objects/${sha256}`;
}

/** The key of the list of a release's files. */
export function releaseKey(id: string): string {
  return `releases/${id}.json`;
}

/** The release that a build would be. */
export function releaseOf({ digest, files }: VerifiedBuild): SiteRelease {
  return { id: digest, files };
}

/** Whether the content is that of the digest. */
export function isContentOf(sha256: string, content: Uint8Array): boolean {
  return sha256Of(content) === sha256;
}

/** @throws ReleaseDamagedError; SiteStoreError */
export async function readPointer(
  store: SiteStore,
  options?: SiteCallOptions,
): Promise<PointerVersion | undefined> {
  const object = await store.get(POINTER_KEY, options);
  if (object === undefined) return undefined;
  const pointer = parse(POINTER_KEY, object.body);
  if (!isPointer(pointer)) throw new ReleaseDamagedError(POINTER_KEY, 'is no pointer');
  return { pointer, etag: object.etag };
}

/** @throws ReleaseDamagedError; SiteStoreError */
export async function readRelease(
  store: SiteStore,
  id: string,
  options?: SiteCallOptions,
): Promise<SiteRelease | undefined> {
  const key = releaseKey(id);
  const object = await store.get(key, options);
  if (object === undefined) return undefined;
  const release = parse(key, object.body);
  if (!isRelease(release) || release.id !== id || digestOf(release.files) !== id) {
    throw new ReleaseDamagedError(key, 'is not the release of its name');
  }
  return release;
}

function parse(key: string, body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new ReleaseDamagedError(key, 'is no JSON', error);
  }
}

function isPointer(value: unknown): value is Pointer {
  const { release, branch, order, run, fence, previous } = Object(value);
  return (
    typeof release === 'string' &&
    typeof branch === 'string' &&
    typeof order === 'number' &&
    typeof run === 'string' &&
    /^\d+$/.test(String(fence)) &&
    Array.isArray(previous)
  );
}

function isRelease(value: unknown): value is SiteRelease {
  const { id, files } = Object(value);
  return (
    typeof id === 'string' &&
    Array.isArray(files) &&
    files.every(
      (file) =>
        typeof Object(file).path === 'string' &&
        /^[0-9a-f]{64}$/.test(String(Object(file).sha256)) &&
        typeof Object(file).contentType === 'string',
    )
  );
}
