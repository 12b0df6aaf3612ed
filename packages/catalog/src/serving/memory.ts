import type { Clock } from '@holdfast/foundation';
import type { AnswerOrigin, GenerationManifest, Source } from '../catalog.ts';
import type { CatalogIndex } from '../search/catalog-index.ts';
import { IndexHolder } from '../search/index-holder.ts';
import { Documents, type OpenedTier } from './documents.ts';
import { HeldGeneration } from './held-generation.ts';
import type { GenerationNumber, GenerationTier } from './generation-tier.ts';

interface MemoryDeps {
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly tiers: readonly GenerationTier[];
  /** Another generation, or the same one from another tier. */
  readonly onServed: (origin: AnswerOrigin) => void;
}

interface NewGeneration {
  readonly manifest: GenerationManifest;
  readonly index: CatalogIndex;
  /** Where its documents can be read already. */
  readonly opened?: OpenedTier;
}

/** The generation in memory, from which all is answered. */
export class Memory {
  readonly holder: IndexHolder = new IndexHolder();
  readonly #deps: MemoryDeps;
  #served: HeldGeneration | undefined;

  constructor(deps: MemoryDeps) {
    this.#deps = deps;
  }

  get served(): HeldGeneration | undefined {
    return this.#served;
  }

  get origin(): AnswerOrigin | undefined {
    return this.#served === undefined ? undefined : this.originOf(this.#served);
  }

  originOf({ manifest, source }: HeldGeneration): AnswerOrigin {
    const ageMs = Math.max(0, this.#deps.clock.epochMs() - manifest.syncedAtEpochMs);
    const { generation, complete } = manifest;
    return { source, generation, ageMs, stale: ageMs > this.#deps.ttlMs, complete };
  }

  isNewer({ generation }: GenerationNumber): boolean {
    return this.#served === undefined || generation > this.#served.manifest.generation;
  }

  isSame({ generation }: GenerationNumber): boolean {
    return generation === this.#served?.manifest.generation;
  }

  /** Serves a generation, unless it is older than the one that is served; its index is closed when it is of no use. */
  serve(source: Source, { manifest, index, opened }: NewGeneration): void {
    if (this.isNewer(manifest)) {
      const { clock, tiers } = this.#deps;
      const documents = new Documents(manifest, tiers, { clock, opened });
      const held = new HeldGeneration(source, { manifest, index, documents });
      this.holder.swap(manifest.generation, held);
      this.#served = held;
      this.#deps.onServed(this.originOf(held));
      return;
    }
    index.close();
    void opened?.reader.close().catch(() => undefined);
    if (this.isSame(manifest)) this.confirm(source);
  }

  /** The same generation was found in that tier. */
  confirm(source: Source): void {
    const held = this.#served;
    if (held === undefined || held.source === source) return;
    held.source = source;
    this.#deps.onServed(this.originOf(held));
  }

  close(): void {
    this.#served?.close();
    this.#served = undefined;
  }
}
