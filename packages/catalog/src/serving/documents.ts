import { type Clock, abortable } from '@holdfast/foundation';
import type { Bundle, BundleRow, GenerationManifest, Source } from '../catalog.ts';
import type { GenerationReader } from '../generations/generation-store.ts';
import { CatalogUnavailableError } from './errors.ts';
import type { TierAttempt } from './served-catalog.ts';
import type { GenerationTier } from './generation-tier.ts';

/** Of the documents that are kept as text. */
const MAX_KEPT_CHARACTERS = 4 * 1_048_576;
/** A tier that failed is asked after the others for so long. */
const LAST_AFTER_FAILURE_MS = 1_000;

interface FoundDocument {
  readonly bundle: Bundle;
  /** The tier that it was read from, also when it was kept since. */
  readonly source: Source;
}

interface KeptDocument {
  readonly text: string;
  readonly source: Source;
}

/** The documents of one generation, from any tier that has it; what was read last is kept in memory. */
export class Documents {
  readonly #manifest: GenerationManifest;
  readonly #tiers: readonly GenerationTier[];
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #readers = new Map<GenerationTier, Promise<GenerationReader>>();
  readonly #failedAtMs = new Map<GenerationTier, number>();
  /** By the place of the document, the one that was used last at the end. */
  readonly #kept = new Map<number, KeptDocument>();
  #keptCharacters = 0;

  constructor(
    manifest: GenerationManifest,
    tiers: readonly GenerationTier[],
    { clock, opened }: { readonly clock: Clock; readonly opened?: OpenedTier | undefined },
  ) {
    this.#manifest = manifest;
    this.#tiers = tiers;
    this.#clock = clock;
    if (opened !== undefined) this.#readers.set(opened.tier, Promise.resolve(opened.reader));
  }

  /**
   * @param first the tier that is asked first.
   * @throws CatalogUnavailableError; the signal's own reason
   */
  async read(row: BundleRow, first: Source, signal: AbortSignal): Promise<FoundDocument> {
    const kept = this.#takeKept(row.document);
    if (kept !== undefined) return { bundle: JSON.parse(kept.text), source: kept.source };
    const attempts: TierAttempt[] = [];
    for (const tier of this.#inOrder(first)) {
      const startedMs = this.#clock.now();
      try {
        const bundle = await this.readFrom(tier, row.document, signal, row.name);
        this.#keep(row.document, { text: JSON.stringify(bundle), source: tier.source });
        return { bundle, source: tier.source };
      } catch (cause) {
        signal.throwIfAborted();
        this.#failedAtMs.set(tier, this.#clock.now());
        attempts.push({ tier: tier.source, cause, ms: this.#clock.now() - startedMs });
      }
    }
    const { generation } = this.#manifest;
    const missing = `no document of ${JSON.stringify(row.name)} of generation ${generation}`;
    throw new CatalogUnavailableError(missing, attempts);
  }

  /** @throws CatalogStoreError when the tier has another generation, or another bundle in this place; what it throws */
  async readFrom(
    tier: GenerationTier,
    row: number,
    signal: AbortSignal,
    name?: string,
  ): Promise<Bundle> {
    const opening = this.#readerOf(tier);
    try {
      const reader = await abortable(opening, signal);
      const bundle = await tier.readRow(reader, row, signal);
      if (bundle === undefined) throw tier.error('missing', `has no row ${row}`);
      if (name !== undefined && bundle.name !== name) {
        throw tier.error('damaged', `has another bundle in row ${row}`);
      }
      return bundle;
    } catch (error) {
      if (!signal.aborted) this.#forget(tier, opening);
      throw error;
    }
  }

  close(): void {
    this.#closing.abort();
    for (const [tier, opening] of this.#readers) this.#forget(tier, opening);
    this.#kept.clear();
  }

  #inOrder(first: Source): readonly GenerationTier[] {
    const nowMs = this.#clock.now();
    const rankOf = (tier: GenerationTier): number => {
      const failedMs = this.#failedAtMs.get(tier);
      if (failedMs !== undefined && nowMs - failedMs < LAST_AFTER_FAILURE_MS) return 2;
      return tier.source === first ? 0 : 1;
    };
    return this.#tiers.toSorted((a, b) => rankOf(a) - rankOf(b));
  }

  #readerOf(tier: GenerationTier): Promise<GenerationReader> {
    const open = this.#readers.get(tier);
    if (open !== undefined) return open;
    const opening = this.#openSame(tier);
    this.#readers.set(tier, opening);
    return opening;
  }

  async #openSame(tier: GenerationTier): Promise<GenerationReader> {
    const reader = await tier.open(this.#closing.signal);
    const { generation, token } = reader.manifest;
    if (generation === this.#manifest.generation && token === this.#manifest.token) return reader;
    void reader.close().catch(() => undefined);
    throw tier.error('missing', `has generation ${generation}, not ${this.#manifest.generation}`);
  }

  #forget(tier: GenerationTier, opening: Promise<GenerationReader>): void {
    if (this.#readers.get(tier) === opening) this.#readers.delete(tier);
    opening.then((reader) => reader.close()).catch(() => undefined);
  }

  #takeKept(document: number): KeptDocument | undefined {
    const kept = this.#kept.get(document);
    if (kept === undefined) return undefined;
    this.#kept.delete(document);
    this.#kept.set(document, kept);
    return kept;
  }

  #keep(document: number, kept: KeptDocument): void {
    if (this.#kept.has(document) || this.#closing.signal.aborted) return;
    this.#kept.set(document, kept);
    this.#keptCharacters += kept.text.length;
    for (const [oldest, { text }] of this.#kept) {
      if (this.#keptCharacters <= MAX_KEPT_CHARACTERS) return;
      this.#kept.delete(oldest);
      this.#keptCharacters -= text.length;
    }
  }
}

export interface OpenedTier {
  readonly tier: GenerationTier;
  readonly reader: GenerationReader;
}
