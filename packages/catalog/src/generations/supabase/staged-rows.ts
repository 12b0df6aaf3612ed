import { propertyOf } from '@holdfast/foundation';
import type { Bundle, GenerationManifest } from '../../catalog.ts';
import { CatalogFencedError, CatalogStoreError } from '../errors.ts';
import type { GenerationPlace, StagedGeneration, StoreCallOptions } from '../generation-store.ts';
import { checkManifestOf, checkPlace } from '../place.ts';
import { RowBuffer } from '../row-batch.ts';
import type { SupabaseStoreSettings } from './options.ts';
import { callRest } from './rest.ts';
import { type SchemaPart, partName } from './schema.ts';

/** What one request has at most, in characters of documents, however few its rows are. */
const CALL_CHARACTERS = 1_048_576;

/** A generation whose rows are inserted under the name of one attempt. */
export class StagedRows implements StagedGeneration {
  readonly #settings: SupabaseStoreSettings;
  readonly #place: GenerationPlace;
  readonly #attempt: string;
  readonly #buffer: RowBuffer;
  #state: 'open' | 'failed' | 'published' | 'discarded' = 'open';

  private constructor(settings: SupabaseStoreSettings, place: GenerationPlace, attempt: string) {
    this.#settings = settings;
    this.#place = place;
    this.#attempt = attempt;
    this.#buffer = new RowBuffer(CALL_CHARACTERS, settings.rowsPerCall);
  }

  static async begin(
    settings: SupabaseStoreSettings,
    place: GenerationPlace,
    { signal }: StoreCallOptions,
  ): Promise<StagedRows> {
    checkPlace(place);
    const { generation, token } = place;
    const mark = Math.floor(settings.random() * 0x1_0000_0000).toString(36);
    const staged = new StagedRows(settings, place, `${generation}-${token}-${mark}`);
    const given = { p_generation: generation, p_token: token };
    const seen = `did not begin generation ${generation}`;
    await staged.#call('begin', given, seen, settings.timeoutMs, signal);
    return staged;
  }

  async add(bundles: readonly Bundle[], { signal }: StoreCallOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#assertOpen();
    try {
      for (const bundle of bundles) if (this.#buffer.add(bundle)) await this.#insert(signal);
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  async publish(manifest: GenerationManifest, { signal }: StoreCallOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#assertOpen();
    const { name, publishTimeoutMs, timeoutMs, graceMs } = this.#settings;
    checkManifestOf(manifest, this.#place, this.#buffer.rows, name);
    try {
      await this.#insert(signal);
    } catch (error) {
      throw await this.#fail(error);
    }
    const seen = `did not publish generation ${manifest.generation}`;
    const given = { p_manifest: JSON.stringify(manifest) };
    try {
      await this.#call('publish', given, seen, publishTimeoutMs, signal);
    } catch (error) {
      const isUnknown = propertyOf(error, 'outcome') === 'unknown';
      if (!isUnknown || !(await this.#wasPublished(error))) throw await this.#fail(error);
    }
    this.#state = 'published';
    const path = `rpc/${partName(this.#settings.prefix, 'remove')}`;
    const removed = { path, body: { p_grace_ms: graceMs }, seen: 'did not remove old generations' };
    // The next publication does it again.
    await callRest(this.#settings, { ...removed, timeoutMs }).catch(() => undefined);
  }

  async discard(): Promise<void> {
    if (this.#state === 'published' || this.#state === 'discarded') return;
    this.#state = 'discarded';
    const { timeoutMs } = this.#settings;
    // The next generation removes it.
    await this.#call('settle', {}, 'did not discard', timeoutMs).catch(() => undefined);
  }

  /**
   * Looks up how a publication has ended whose answer was lost.
   * @throws CatalogStoreError when it did not take place; `error` when nobody can tell
   */
  async #wasPublished(error: unknown): Promise<boolean> {
    const { name, timeoutMs } = this.#settings;
    this.#state = 'failed';
    let answer: unknown;
    try {
      answer = await this.#call('settle', {}, 'did not tell how a publication ended', timeoutMs);
    } catch {
      throw error;
    }
    if (propertyOf(answer, 'published') === true) return true;
    const { reason = 'unreachable' } = error instanceof CatalogStoreError ? error : {};
    const seen = `did not publish generation ${this.#place.generation}, and now never will`;
    throw new CatalogStoreError(name, reason, seen, { cause: error });
  }

  /** The error to throw; where what was staged is gone, that of the leader who has removed it. */
  async #fail(error: unknown): Promise<unknown> {
    this.#state = 'failed';
    const { name, timeoutMs } = this.#settings;
    if (!(error instanceof CatalogStoreError) || error.reason !== 'missing') return error;
    let answer: unknown;
    try {
      answer = await this.#call('settle', {}, 'did not tell why', timeoutMs);
    } catch {
      return error;
    }
    const seen = {
      generation: Number(propertyOf(answer, 'generation')),
      token: Number(propertyOf(answer, 'token')),
    };
    const isFenced = seen.token > this.#place.token || seen.generation >= this.#place.generation;
    return isFenced ? new CatalogFencedError(name, this.#place, seen) : error;
  }

  async #insert(signal: AbortSignal | undefined): Promise<void> {
    const batch = this.#buffer.take();
    if (batch === undefined) return;
    const { prefix, timeoutMs } = this.#settings;
    const { first, names, documents, checksums } = batch;
    const body = documents.map((document, at) => ({
      attempt: this.#attempt,
      row: first + at,
      name: names[at],
      document,
      checksum: checksums[at],
    }));
    const path = partName(prefix, 'documents');
    await callRest(this.#settings, { path, body, seen: 'did not take rows', timeoutMs, signal });
  }

  async #call(
    part: SchemaPart,
    given: object,
    seen: string,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<unknown> {
    const { name, prefix } = this.#settings;
    const body = { p_attempt: this.#attempt, ...given };
    const path = `rpc/${partName(prefix, part)}`;
    const answer = await callRest(this.#settings, { path, body, seen, timeoutMs, signal });
    const fenced = propertyOf(answer, 'fenced');
    if (fenced !== undefined) {
      const published = {
        generation: Number(propertyOf(fenced, 'generation')),
        token: Number(propertyOf(fenced, 'token')),
      };
      throw new CatalogFencedError(name, this.#place, published);
    }
    const missing = propertyOf(answer, 'missing');
    if (typeof missing !== 'string') return answer;
    throw new CatalogStoreError(name, 'missing', `${seen}: of what was staged ${missing}`);
  }

  #assertOpen(): void {
    this.#settings.assertOpen();
    if (this.#state === 'open') return;
    const seen = `has no more of generation ${this.#place.generation}: it is ${this.#state}`;
    throw new CatalogStoreError(this.#settings.name, 'closed', seen);
  }
}
