import type { Clock } from '@holdfast/foundation';
import type { Backup } from '../backup/backup.ts';
import { type BackupOrder, CatalogBackupFencedError } from '../backup/errors.ts';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import { parseDocument } from '../documents/chunk.ts';
import { CatalogFencedError } from '../generations/errors.ts';
import type { GenerationStore } from '../generations/generation-store.ts';
import type { buildIndex } from '../search/build/build-index.ts';
import type { BuiltIndex } from '../search/build/index-builder.ts';
import { IndexBuildError } from '../search/errors.ts';
import type { TargetFailure } from './catalog-sync.ts';
import { CatalogPublishError } from './errors.ts';
import { type Feed, feed } from './feed.ts';

interface PublicationDeps {
  readonly stores: readonly GenerationStore[];
  /** Stores that did not answer before. */
  readonly failed: readonly TargetFailure[];
  readonly backup: Backup | undefined;
  readonly manifest: GenerationManifest;
  readonly clock: Clock;
  readonly buildIndex: typeof buildIndex;
  /** All of it, given as JSON. */
  readonly documents: () => AsyncIterable<readonly string[]>;
  /** What there is of the same bundles in the same order. */
  readonly same: SameBundles | undefined;
  readonly signal: AbortSignal;
}

/** An index at hand, and the generation under which the backup has its bundles. */
export interface SameBundles {
  readonly index: BuiltIndex;
  readonly inBackup: BackupOrder | undefined;
}

/** A place that gets the generation. */
interface Target {
  readonly name: string;
  /** Whether it has to be given the bundles. */
  readonly takesBundles: boolean;
  add(bundles: readonly Bundle[]): Promise<void>;
  publish(): Promise<void>;
  discard(): Promise<void>;
}

/** Characters, of which a few take three bytes: the worker takes batches of 4 MiB. */
const MAX_BATCH_LENGTH = 262_144;

/** One generation on its way into the stores, the backup and the index. A place that fails is left behind. */
export class GenerationPublication {
  readonly failed: TargetFailure[];
  readonly published: string[] = [];
  readonly #deps: PublicationDeps;
  /** `undefined` where the index of the same bundles is at hand. */
  readonly #index: Feed<Uint8Array, BuiltIndex> | undefined;
  #targets: readonly Target[] = [];

  constructor(deps: PublicationDeps) {
    this.#deps = deps;
    this.failed = [...deps.failed];
    const { signal, clock, same } = deps;
    if (same !== undefined) return;
    this.#index = feed((batches) => deps.buildIndex(batches, { signal, clock }));
  }

  /**
   * Stages all of it.
   * @throws CatalogFencedError; IndexBuildError; what the documents throw; the signal's own reason
   */
  async stage(onRows: (rows: number) => void): Promise<BuiltIndex> {
    const { stores, backup, manifest, documents, same, signal } = this.#deps;
    const { rows } = manifest;
    for (const store of stores) {
      await this.#try(store.name, async () => {
        const staged = await store.stage(manifest, { signal });
        this.#targets = [...this.#targets, targetOf(store.name, staged, manifest, signal)];
      });
    }
    if (backup !== undefined) {
      const target =
        same?.inBackup === undefined
          ? backupTarget(backup, manifest, signal)
          : this.#renewal(backup, same.inBackup);
      this.#targets = [...this.#targets, target];
    }
    for await (const part of documents()) {
      signal.throwIfAborted();
      const takers = this.#targets.filter(({ takesBundles }) => takesBundles);
      // Nobody needs them.
      if (this.#index === undefined && takers.length === 0) break;
      const bundles = takers.length === 0 ? [] : part.map(parseDocument);
      await allDone([
        this.#addToIndex(part),
        ...takers.map((target) => this.#try(target.name, () => target.add(bundles))),
      ]);
      onRows(part.length);
    }
    const index = same?.index ?? (await this.#index?.end());
    if (index?.rows === rows) return index;
    const seen = `it has ${index?.rows} names, and ${rows} were counted`;
    throw new IndexBuildError('worker-failed', seen);
  }

  /** In the order of the stores, then the backup. @throws CatalogFencedError; CatalogPublishError; the signal's own reason */
  async publish(): Promise<void> {
    const { manifest, signal } = this.#deps;
    const isKept = this.#targets.length + this.failed.length > 0;
    for (const target of this.#targets) {
      signal.throwIfAborted();
      await this.#try(target.name, async () => {
        await target.publish();
        this.published.push(target.name);
      });
    }
    if (isKept && this.published.length === 0) {
      throw new CatalogPublishError(manifest.generation, this.failed);
    }
  }

  /** Removes what was staged and not published. */
  async discard(reason: unknown): Promise<void> {
    const left = this.#targets;
    this.#targets = [];
    await Promise.all([this.#index?.abort(reason), ...left.map((target) => target.discard())]);
  }

  /** The backup copies what it has, or is given all of it where that is gone or damaged. */
  #renewal(backup: Backup, before: BackupOrder): Target {
    const { manifest, documents, signal } = this.#deps;
    return {
      name: 'backup',
      takesBundles: false,
      async add() {},
      async publish() {
        const renewed = await backup.renew(manifest, before, { signal });
        if (renewed === undefined) await backup.write(manifest, parsed(documents()), { signal });
      },
      async discard() {},
    };
  }

  /** In batches of a bounded size; each is an array in JSON, as its documents are. */
  async #addToIndex(documents: readonly string[]): Promise<void> {
    let batch: string[] = [];
    let length = 0;
    for (const document of documents) {
      if (length + document.length > MAX_BATCH_LENGTH) {
        await this.#index?.add(batchOf(batch));
        [batch, length] = [[], 0];
      }
      batch.push(document);
      length += document.length;
    }
    if (batch.length > 0) await this.#index?.add(batchOf(batch));
  }

  /** What fails there is no failure of the others, unless a newer leader has published. */
  async #try(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      this.#deps.signal.throwIfAborted();
      if (cause instanceof CatalogFencedError || cause instanceof CatalogBackupFencedError)
        throw cause;
      this.failed.push({ target: name, cause });
      const failed = this.#targets.find((target) => target.name === name);
      this.#targets = this.#targets.filter((target) => target !== failed);
      await failed?.discard();
    }
  }
}

type Staged = Awaited<ReturnType<GenerationStore['stage']>>;

function targetOf(
  name: string,
  staged: Staged,
  manifest: GenerationManifest,
  signal: AbortSignal,
): Target {
  return {
    name,
    takesBundles: true,
    add: (bundles) => staged.add(bundles, { signal }),
    publish: () => staged.publish(manifest, { signal }),
    discard: () => staged.discard(),
  };
}

/** Its chunks end when it is to be published: the backup proves what it wrote, and gives it its name. */
function backupTarget(backup: Backup, manifest: GenerationManifest, signal: AbortSignal): Target {
  const writing = feed((chunks: AsyncIterable<readonly Bundle[]>) =>
    backup.write(manifest, chunks, { signal }),
  );
  return {
    name: 'backup',
    takesBundles: true,
    add: (bundles) => writing.add(bundles),
    publish: async () => void (await writing.end()),
    discard: () => writing.abort(new Error('the generation is discarded')),
  };
}

async function* parsed(
  documents: AsyncIterable<readonly string[]>,
): AsyncGenerator<readonly Bundle[], void, undefined> {
  for await (const part of documents) yield part.map(parseDocument);
}

/** Rejects with the first error when all have settled: nothing goes on behind the back of who discards. */
async function allDone(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) {
    if (result.status === 'rejected') throw result.reason;
  }
}

function batchOf(documents: readonly string[]): Uint8Array {
  return Buffer.from(`[${documents.join(',')}]`);
}
