import { type VerifiedBuild, isVerified } from '../build/verified-build.ts';
import type { BuiltFile } from '../build/verified-build.ts';
import { BuildNotVerifiedError, ReleaseDamagedError, SiteStoreError } from '../errors.ts';
import { decideMove } from './move-pointer.ts';
import {
  type PublishDeps,
  type PublisherOptions,
  parsePublisherOptions,
} from './publish-options.ts';
import type { PublishStamp } from './publish-stamp.ts';
import type { RemovalResult } from './site-store.ts';
import { type UploadedKey, uploadFiles } from './upload.ts';

/** What became of a publish to a bare website. */
export type WebsiteOutcome =
  | { readonly kind: 'published'; readonly keys: readonly UploadedKey[] }
  | { readonly kind: 'superseded' }
  | {
      readonly kind: 'failed';
      readonly error: SiteStoreError;
      readonly keys: readonly UploadedKey[];
    };

/**
 * For a bucket that S3 itself serves, where no pointer can be: files before the pages that need them, the start page
 * last, removals after a time of grace. Between the first and the last page visitors see both versions of the site;
 * where that must not be, put a front door before a `Publisher`.
 */
export interface WebsitePublisher {
  /** @throws BuildNotVerifiedError; ReleaseDamagedError; the reason of the signal */
  publish(
    build: VerifiedBuild,
    stamp: PublishStamp,
    options?: { readonly signal?: AbortSignal },
  ): Promise<WebsiteOutcome>;
  /** Removes what no page has needed for `removalGraceMs`. @throws SiteStoreError; ReleaseDamagedError */
  removeUnneeded(options?: { readonly signal?: AbortSignal }): Promise<RemovalResult>;
}

interface WebsiteState {
  readonly branch: string;
  readonly order: number;
  readonly run: string;
  readonly fence: string;
  /** The content of each file of the site, by its path. */
  readonly files: Readonly<Record<string, string>>;
  /** Since when no page needs a file, in milliseconds since the Unix epoch. */
  readonly unneeded: Readonly<Record<string, number>>;
  /** Whether all files of this publish arrived. */
  readonly isComplete: boolean;
}

interface StateVersion {
  readonly state: WebsiteState;
  readonly etag: string;
}

const STATE_KEY = '.holdfast/website.json';
const HEADERS = { contentType: 'application/json', cacheControl: 'no-store' };
const PAGE_CACHE = 'public, max-age=0, must-revalidate';

/**
 * Publishes to a bare website without a front door: assets first, pages next, removals after a while.
 * @throws InvalidOptionError
 */
export function createWebsitePublisher(given: PublisherOptions): WebsitePublisher {
  const options = parsePublisherOptions('createWebsitePublisher', given);
  return {
    async publish(build, stamp, { signal = new AbortController().signal } = {}) {
      if (!isVerified(build)) throw new BuildNotVerifiedError('this is no verified build');
      try {
        return await publishFiles(build, stamp, { options, signal });
      } catch (error) {
        if (error instanceof SiteStoreError) return { kind: 'failed', error, keys: [] };
        throw error;
      }
    },
    removeUnneeded: ({ signal = new AbortController().signal } = {}) =>
      removeUnneeded({ options, signal }),
  };
}

async function publishFiles(
  build: VerifiedBuild,
  stamp: PublishStamp,
  deps: PublishDeps,
): Promise<WebsiteOutcome> {
  const found = await readState(deps);
  const digest = build.digest;
  const pointer = found && {
    ...found.state,
    release: found.state.isComplete ? digest : '',
    commit: '',
    publishedAtMs: 0,
    previous: [],
  };
  const decision = decideMove(pointer, digest, stamp);
  if (decision === 'stale-fence' || decision === 'superseded') {
    const isOwn = found?.state.run === stamp.run && !found.state.isComplete;
    if (!isOwn || decision === 'stale-fence') return { kind: 'superseded' };
  }
  // Claimed before the first file: an older publish that comes now finds a newer order, and leaves.
  const claim = stateOf(build, stamp, found?.state, deps, false);
  const claimed = await writeState(claim, found?.etag, deps);
  if (claimed === undefined) return { kind: 'superseded' };
  const keys: UploadedKey[] = [];
  for (const files of inOrder(changedFiles(build, found?.state))) {
    const sent = await uploadFiles(
      build,
      files,
      (file, content, signal) => sendFile(file, content, deps, signal),
      deps,
    );
    keys.push(...sent.keys);
    if (sent.failure !== undefined) return { kind: 'failed', error: sent.failure, keys };
  }
  const written = await writeState({ ...claim, isComplete: true }, claimed, deps);
  return written === undefined ? { kind: 'superseded' } : { kind: 'published', keys };
}

async function sendFile(
  file: BuiltFile,
  content: Buffer,
  { options }: PublishDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const headers = { contentType: file.contentType, cacheControl: PAGE_CACHE };
  await options.store.put(file.path, content, headers, { always: true }, { signal });
  return true;
}

/** Of a publish that did not end, nobody knows which files arrived: all count as changed. */
function changedFiles(build: VerifiedBuild, state: WebsiteState | undefined): readonly BuiltFile[] {
  if (state === undefined || !state.isComplete) return build.files;
  return build.files.filter(({ path, sha256 }) => state.files[path] !== sha256);
}

/** What pages need, then pages, then the start page. */
function inOrder(files: readonly BuiltFile[]): readonly (readonly BuiltFile[])[] {
  const isPage = ({ path }: BuiltFile): boolean => path.endsWith('.html');
  const isStart = ({ path }: BuiltFile): boolean => path === 'index.html';
  return [
    files.filter((file) => !isPage(file)),
    files.filter((file) => isPage(file) && !isStart(file)),
    files.filter((file) => isStart(file)),
  ];
}

function stateOf(
  build: VerifiedBuild,
  { branch, order, run, fence }: PublishStamp,
  before: WebsiteState | undefined,
  { options }: PublishDeps,
  isComplete: boolean,
): WebsiteState {
  const files = Object.fromEntries(build.files.map(({ path, sha256 }) => [path, sha256]));
  const nowMs = options.clock.epochMs();
  const unneeded: Record<string, number> = {};
  const earlier = { ...before?.unneeded };
  for (const path of Object.keys({ ...earlier, ...before?.files })) {
    if (!Object.hasOwn(files, path)) unneeded[path] = earlier[path] ?? nowMs;
  }
  return { branch, order, run, fence: String(fence), files, unneeded, isComplete };
}

async function removeUnneeded(deps: PublishDeps): Promise<RemovalResult> {
  const { store, clock, removalGraceMs } = deps.options;
  const found = await readState(deps);
  if (found === undefined || !found.state.isComplete) return { removed: [], failed: [] };
  const dueMs = clock.epochMs() - removalGraceMs;
  const due = Object.entries(found.state.unneeded)
    .filter(([, sinceMs]) => sinceMs <= dueMs)
    .map(([path]) => path);
  if (due.length === 0) return { removed: [], failed: [] };
  const result = await store.remove(due, deps);
  const removed = new Set(result.removed);
  const rest = Object.entries(found.state.unneeded).filter(([path]) => !removed.has(path));
  // When a publish came in between, its state names them again, and the next removal finds them gone.
  await writeState({ ...found.state, unneeded: Object.fromEntries(rest) }, found.etag, deps);
  return result;
}

async function readState({ options, signal }: PublishDeps): Promise<StateVersion | undefined> {
  const object = await options.store.get(STATE_KEY, { signal });
  if (object === undefined) return undefined;
  try {
    const state: WebsiteState = JSON.parse(object.body.toString('utf8'));
    BigInt(state.fence);
    return { state, etag: object.etag };
  } catch (error) {
    throw new ReleaseDamagedError(STATE_KEY, 'is not the state of a website', error);
  }
}

async function writeState(
  state: WebsiteState,
  etag: string | undefined,
  { options, signal }: PublishDeps,
): Promise<string | undefined> {
  const condition = etag === undefined ? ({ ifAbsent: true } as const) : { ifMatch: etag };
  const body = Buffer.from(JSON.stringify(state));
  const written = await options.store.put(STATE_KEY, body, HEADERS, condition, { signal });
  return written === 'conflict' ? undefined : written.etag;
}
