import { type Clock, integer, objectWith, parseOptions, systemClock } from '@holdfast/foundation';
import { fileFor } from '../build/links.ts';
import type { BuiltFile } from '../build/verified-build.ts';
import { ReleaseDamagedError, SiteStoreError } from '../errors.ts';
import { ByteCache } from './byte-cache.ts';
import {
  isContentOf,
  objectKey,
  type Pointer,
  readPointer,
  readRelease,
  releaseKey,
} from './release.ts';
import type { SiteStore } from './site-store.ts';

/** Options of `createFrontDoor`. */
export interface FrontDoorOptions {
  /** The store that the site was published to. */
  readonly store: SiteStore;
  /** How old the known pointer may be before it is read again, in milliseconds. Default 1,000. */
  readonly pointerTtlMs?: number;
  /** The most that is kept of files in memory, in bytes. Default 64 MiB. */
  readonly cacheMaxBytes?: number;
  /** Releases whose lists of files are kept in memory, 1 to 100. Default 8. */
  readonly keptReleases?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

/** What a visitor asks for. */
export interface SiteRequest {
  /** With its leading `/`, without a query, decoded. */
  readonly path: string;
  /** The release that the visitor's page came from: what `SiteAnswer.release` was. */
  readonly release?: string | undefined;
  /** The ETag that the visitor has. */
  readonly ifNoneMatch?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a visitor gets. */
export interface SiteAnswer {
  readonly status: 200 | 304 | 404 | 503;
  /** The release that it is from, to be sent along with requests for what the page needs. */
  readonly release: string | undefined;
  /** Whether it is a page, which a visitor sees the newest of. */
  readonly isPage: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Serves a site by its pointer: each page with the files of its own release. */
export interface FrontDoor {
  /** Never rejects but with the reason of the signal; a store that is down is a 503 for what is not in memory. */
  answer(request: SiteRequest): Promise<SiteAnswer>;
}

interface KnownRelease {
  readonly id: string;
  readonly files: ReadonlyMap<string, BuiltFile>;
}

const CACHE_MAX_BYTES = 67_108_864;
const MAX_CACHE_BYTES = 17_179_869_184;
const NO_BODY = Buffer.alloc(0);
const schema = {
  store: objectWith<SiteStore>(['get', 'sizeOf', 'put', 'list', 'remove']),
  pointerTtlMs: integer({ min: 0, max: 86_400_000, default: 1_000 }),
  cacheMaxBytes: integer({ min: 0, max: MAX_CACHE_BYTES, default: CACHE_MAX_BYTES }),
  keptReleases: integer({ min: 1, max: 100, default: 8 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Serves the release that the pointer names: each page and its assets from one release.
 * @throws InvalidOptionError
 */
export function createFrontDoor(given: FrontDoorOptions): FrontDoor {
  const door = new ReleaseDoor(parseOptions('createFrontDoor', schema, given));
  return { answer: (request) => door.answer(request) };
}

class ReleaseDoor implements FrontDoor {
  readonly #options: Required<FrontDoorOptions>;
  readonly #contents: ByteCache;
  readonly #releases = new Map<string, KnownRelease>();
  #pointer: Pointer | undefined;
  #readMs = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(options: Required<FrontDoorOptions>) {
    this.#options = options;
    this.#contents = new ByteCache(options.cacheMaxBytes);
  }

  async answer(request: SiteRequest): Promise<SiteAnswer> {
    try {
      await this.#refresh();
      const current = this.#pointer?.release;
      if (current === undefined) return unanswered(404, undefined);
      return await this.#fromReleases(request, current);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (error instanceof SiteStoreError || error instanceof ReleaseDamagedError) {
        return unanswered(503, this.#pointer?.release);
      }
      throw error;
    }
  }

  /** A page comes from the current release; what it needs from the page's own, as long as that is kept. */
  async #fromReleases(request: SiteRequest, current: string): Promise<SiteAnswer> {
    const release = await this.#release(current);
    if (release === undefined) throw new ReleaseDamagedError(releaseKey(current), 'is missing');
    const page = fileOf(request.path, release);
    const isPage = page?.contentType.startsWith('text/html') === true;
    const own = request.release;
    if (!isPage && own !== undefined && own !== current && this.#isKept(own)) {
      const former = await this.#release(own);
      const file = former && fileOf(request.path, former);
      if (former !== undefined && file !== undefined) return this.#send(request, former, file);
    }
    if (page !== undefined) return this.#send(request, release, page);
    const notFound = release.files.get('404.html');
    const answer = unanswered(404, current);
    if (notFound === undefined) return answer;
    const body = await this.#content(notFound);
    return { ...answer, headers: { 'content-type': notFound.contentType }, body };
  }

  async #send(
    { ifNoneMatch }: SiteRequest,
    release: KnownRelease,
    file: BuiltFile,
  ): Promise<SiteAnswer> {
    const etag = `"${file.sha256}"`;
    const isPage = file.contentType.startsWith('text/html');
    const headers = {
      etag,
      'content-type': file.contentType,
      // The name of a file may mean another content in the next release.
      'cache-control': isPage ? 'private, no-cache' : 'private, max-age=0, must-revalidate',
    };
    const isKnown = ifNoneMatch === etag;
    const body = isKnown ? NO_BODY : await this.#content(file);
    return { status: isKnown ? 304 : 200, release: release.id, isPage, headers, body };
  }

  /** Reads the pointer when it is due, once for all that ask. One that is known is better than none. */
  async #refresh(): Promise<void> {
    const { clock, pointerTtlMs, store } = this.#options;
    if (clock.now() - this.#readMs < pointerTtlMs) return;
    this.#reading ??= readPointer(store)
      .then((found) => {
        this.#pointer = found?.pointer ?? this.#pointer;
      })
      .finally(() => {
        this.#readMs = clock.now();
        this.#reading = undefined;
      });
    await this.#reading.catch((error: unknown) => {
      if (this.#pointer === undefined) {
        this.#readMs = -Infinity;
        throw error;
      }
    });
  }

  #isKept(id: string): boolean {
    return this.#pointer?.previous.includes(id) === true;
  }

  async #release(id: string): Promise<KnownRelease | undefined> {
    const known = this.#releases.get(id);
    if (known !== undefined) return known;
    const read = await readRelease(this.#options.store, id);
    if (read === undefined) return undefined;
    const release = { id, files: new Map(read.files.map((file) => [file.path, file])) };
    this.#releases.set(id, release);
    const [oldest] = this.#releases.keys();
    if (this.#releases.size > this.#options.keptReleases && oldest !== undefined) {
      this.#releases.delete(oldest);
    }
    return release;
  }

  async #content({ sha256 }: BuiltFile): Promise<Buffer> {
    const cached = this.#contents.get(sha256);
    if (cached !== undefined) return cached;
    const key = objectKey(sha256);
    const object = await this.#options.store.get(key);
    if (object === undefined) throw new ReleaseDamagedError(key, 'is missing');
    if (!isContentOf(sha256, object.body)) throw new ReleaseDamagedError(key, 'is not its content');
    this.#contents.set(sha256, object.body);
    return object.body;
  }
}

function fileOf(path: string, { files }: KnownRelease): BuiltFile | undefined {
  const found = fileFor(path, files);
  return found === undefined ? undefined : files.get(found);
}

function unanswered(status: 404 | 503, release: string | undefined): SiteAnswer {
  return { status, release, isPage: false, headers: {}, body: NO_BODY };
}
