import type { PipelineCommand } from '@holdfast/cache/redis-link';
import type { Bundle, GenerationManifest } from '../../catalog.ts';
import { encodeChunk } from '../../documents/chunk.ts';
import { CatalogStoreError } from '../errors.ts';
import type { GenerationPlace, StagedGeneration, StoreCallOptions } from '../generation-store.ts';
import { encodeRecord, namesSum } from './published-record.ts';
import { REDIS } from './redis-connection.ts';
import { DISCARD, PUBLISH } from './scripts.ts';
import { type RedisStoreParts, answerOf, fencedError } from './store-parts.ts';

/** A staging that was left behind is gone after this, if no other sync removes it before. */
const STAGED_MS = 21_600_000;

export class RedisStagedGeneration implements StagedGeneration {
  readonly #parts: RedisStoreParts;
  readonly #place: GenerationPlace;
  readonly #attempt: string;
  #pending: Bundle[] = [];
  #commands: PipelineCommand[] = [];
  #commandBytes = 0;
  readonly #sums: number[] = [];
  #rows = 0;
  #bytes = 0;
  /** What was sent last; the next is sent when it has arrived. */
  #sending: Promise<unknown> = Promise.resolve();
  /** One caller adds; one that does not wait for its calls still has its rows in their order. */
  #turn: Promise<unknown> = Promise.resolve();
  #isOver = false;

  constructor(parts: RedisStoreParts, place: GenerationPlace, attempt: string) {
    this.#parts = parts;
    this.#place = place;
    this.#attempt = attempt;
  }

  async add(bundles: readonly Bundle[], { signal }: StoreCallOptions = {}): Promise<void> {
    await this.#inTurn(async () => {
      const { rowsPerChunk } = this.#parts.options;
      for (const bundle of bundles) {
        this.#pending.push(bundle);
        if (this.#pending.length < rowsPerChunk) continue;
        await this.#encode(this.#pending.splice(0), signal);
      }
      this.#rows += bundles.length;
    });
  }

  async publish(manifest: GenerationManifest, { signal }: StoreCallOptions = {}): Promise<void> {
    await this.#inTurn(async () => {
      // A part that was not taken is told rather than that it is missing.
      await this.#sending;
      this.#checkManifest(manifest);
      if (this.#pending.length > 0) await this.#encode(this.#pending.splice(0), signal);
      await this.#send(signal);
      await this.#sending;
      await this.#publish(manifest, signal);
      this.#isOver = true;
    });
  }

  async discard(): Promise<void> {
    await this.#turn;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pending = [];
    this.#commands = [];
    const { connection, keys } = this.#parts;
    const command = {
      script: DISCARD,
      keys: [keys.current, keys.staged, keys.chunks],
      args: [this.#attempt, this.#sums.length],
    };
    // What Redis cannot be told now, the next staging removes, or its time.
    await this.#sending.catch(() => undefined);
    await connection.run([command]).catch(() => undefined);
  }

  async #publish(manifest: GenerationManifest, signal: AbortSignal | undefined): Promise<void> {
    const { connection, keys, options } = this.#parts;
    const { rowsPerChunk, ttlMs, graceMs } = options;
    const { generation, token } = manifest;
    const [attempt, bytes, sums] = [this.#attempt, this.#bytes, this.#sums];
    const record = encodeRecord({ manifest, attempt, rowsPerChunk, bytes, sums });
    const command = {
      script: PUBLISH,
      keys: [keys.current, keys.fence, keys.staged, keys.chunks],
      args: [generation, token, attempt, sums.length, bytes, record, ttlMs + graceMs, graceMs],
    };
    const [reply] = await connection.run([command], { signal, lost: 'unknown' });
    const { kind, numbers } = answerOf(reply);
    if (kind === 'published') return;
    if (kind === 'fenced') throw fencedError(manifest, numbers);
    if (kind === 'missing') {
      const seen = `has lost chunk ${numbers[0]} of generation ${generation} while it was staged`;
      throw new CatalogStoreError(REDIS, 'missing', seen);
    }
    const seen = `has ${numbers[0]} bytes of generation ${generation}, of ${bytes}`;
    throw new CatalogStoreError(REDIS, 'damaged', seen);
  }

  async #encode(bundles: readonly Bundle[], signal: AbortSignal | undefined): Promise<void> {
    const { keys, options } = this.#parts;
    const index = this.#sums.length;
    const series = this.#place.generation;
    const chunk = await encodeChunk(bundles, { series, index, ...(signal && { signal }) }).catch(
      (error: unknown) => {
        // Nothing of it can be published any more.
        this.#sending = Promise.reject(error);
        this.#sending.catch(() => undefined);
        throw error;
      },
    );
    this.#sums.push(namesSum(bundles));
    this.#bytes += chunk.length;
    this.#commands.push(
      // Before the chunk, so that there is none that the next staging does not know.
      ['hset', keys.staged, this.#attempt, index + 1],
      ['set', keys.chunk(this.#attempt, index), chunk, 'PX', STAGED_MS],
    );
    this.#commandBytes += chunk.length;
    if (this.#commandBytes >= options.pipelineBytes) await this.#send(signal);
  }

  async #send(signal: AbortSignal | undefined): Promise<void> {
    await this.#sending;
    if (this.#commands.length === 0) return;
    this.#sending = this.#parts.connection.run(this.#commands, { signal });
    // Seen by whoever waits for it next.
    this.#sending.catch(() => undefined);
    this.#commands = [];
    this.#commandBytes = 0;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(() => {
      if (this.#isOver) {
        throw new CatalogStoreError(REDIS, 'closed', 'has ended this staging already');
      }
      return work();
    });
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  #checkManifest({ generation, token, rows }: GenerationManifest): void {
    const place = this.#place;
    if (generation === place.generation && token === place.token && rows === this.#rows) return;
    const given = `generation ${generation} of token ${token} with ${rows} rows`;
    const staged = `generation ${place.generation} of token ${place.token} with ${this.#rows}`;
    throw new CatalogStoreError(REDIS, 'refused', `was to publish ${given}, and has ${staged}`);
  }
}
