import { abortable, withDeadline } from '@holdfast/foundation';
import type { Bundle, GenerationManifest } from '../../catalog.ts';
import { decodeChunk, encodeChunk } from '../../documents/chunk.ts';
import { CatalogChunkError } from '../../documents/errors.ts';
import { CatalogStoreError } from '../errors.ts';
import type { GenerationReader, StoreCallOptions } from '../generation-store.ts';
import { type PublishedRecord, namesSum, sha1Of } from './published-record.ts';
import { REDIS } from './redis-connection.ts';
import { QUARANTINE, RESTORE } from './scripts.ts';
import { type ChunkEvent, type RedisStoreParts, answerOf } from './store-parts.ts';

/** How long a damaged chunk is kept for people to look at. */
const QUARANTINED_MS = 86_400_000;

type Rows = readonly Bundle[];

export class RedisReader implements GenerationReader {
  readonly manifest: GenerationManifest;
  readonly #parts: RedisStoreParts;
  readonly #record: PublishedRecord;
  /** The chunks used last, the oldest first; those that are being fetched too. */
  readonly #chunks = new Map<number, Promise<Rows>>();
  #isClosed = false;

  constructor(parts: RedisStoreParts, record: PublishedRecord) {
    this.#parts = parts;
    this.#record = record;
    this.manifest = record.manifest;
  }

  async readRow(row: number, { signal }: StoreCallOptions = {}): Promise<Bundle | undefined> {
    this.#checkOpen();
    if (!Number.isInteger(row) || row < 0 || row >= this.manifest.rows) return undefined;
    const { rowsPerChunk } = this.#record;
    const rows = this.#kept(Math.floor(row / rowsPerChunk));
    return (await (signal === undefined ? rows : abortable(rows, signal)))[row % rowsPerChunk];
  }

  async *readAll({ signal }: StoreCallOptions = {}): AsyncGenerator<Rows> {
    let next = this.#ahead(0);
    for (let index = 0; index < this.#record.sums.length; index += 1) {
      this.#checkOpen();
      const rows = next;
      next = this.#ahead(index + 1);
      yield await (signal === undefined ? rows : abortable(rows, signal));
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#chunks.clear();
  }

  #kept(index: number): Promise<Rows> {
    const found = this.#chunks.get(index);
    const rows = found ?? this.#read(index);
    this.#chunks.delete(index);
    this.#chunks.set(index, rows);
    if (found !== undefined) return rows;
    rows.catch(() => {
      if (this.#chunks.get(index) === rows) this.#chunks.delete(index);
    });
    for (const oldest of this.#chunks.keys()) {
      if (this.#chunks.size <= this.#parts.options.cachedChunks) break;
      this.#chunks.delete(oldest);
    }
    return rows;
  }

  /** Fetched while the one before is used, which may be the last that is wanted. */
  #ahead(index: number): Promise<Rows> {
    if (index >= this.#record.sums.length) return Promise.resolve([]);
    const rows = this.#chunks.get(index) ?? this.#read(index);
    rows.catch(() => undefined);
    return rows;
  }

  /** Whole, or rebuilt. */
  async #read(index: number): Promise<Rows> {
    const { connection, keys, events } = this.#parts;
    const key = keys.chunk(this.#record.attempt, index);
    let defect: unknown;
    // Once more where it was damaged only on its way, or has been mended meanwhile.
    for (let reads = 0; reads < 2; reads += 1) {
      const [bytes] = await connection.run([['getBuffer', key]]);
      if (!(bytes instanceof Buffer)) {
        events.emit('missing', this.#eventOf(index));
        return this.#rebuilt(index, 'missing', defect);
      }
      try {
        return await this.#decoded(index, bytes);
      } catch (error) {
        if (!(error instanceof CatalogChunkError)) throw error;
        defect = error;
        if (await this.#quarantine(index, bytes, error)) break;
      }
    }
    return this.#rebuilt(index, 'damaged', defect);
  }

  async #decoded(index: number, bytes: Buffer): Promise<Rows> {
    const rows = await decodeChunk(bytes, { series: this.manifest.generation, index });
    if (this.#isOf(index, rows)) return rows;
    throw new CatalogChunkError('foreign', 'it has other bundles than the generation');
  }

  #isOf(index: number, rows: Rows): boolean {
    return rows.length === this.#eventOf(index).rows && namesSum(rows) === this.#record.sums[index];
  }

  /** Whether it is to be rebuilt: `false` when Redis has another one by now. Never rejects. */
  async #quarantine(index: number, bytes: Buffer, { reason }: CatalogChunkError): Promise<boolean> {
    const { connection, keys, events } = this.#parts;
    const { attempt } = this.#record;
    const command = {
      script: QUARANTINE,
      keys: [keys.chunk(attempt, index), keys.damagedChunk(attempt, index)],
      args: [sha1Of(bytes), QUARANTINED_MS],
    };
    // A user that may only read cannot put it aside.
    const [reply] = await connection.run([command]).catch(() => []);
    const { kind } = answerOf(reply);
    if (kind === 'changed') return false;
    const isQuarantined = kind === 'quarantined';
    events.emit('damaged', { ...this.#eventOf(index), defect: reason, isQuarantined });
    return true;
  }

  async #rebuilt(index: number, reason: 'missing' | 'damaged', cause: unknown): Promise<Rows> {
    const { options, events } = this.#parts;
    const { rebuild, rebuildTimeoutMs, clock } = options;
    const seen = `has no whole chunk ${index} of generation ${this.manifest.generation}`;
    const lost = (because: unknown): CatalogStoreError =>
      new CatalogStoreError(REDIS, reason, seen, { cause: because });
    if (rebuild === undefined) throw lost(cause);
    const event = this.#eventOf(index);
    const late = (): Error => lost(new Error(`no rows within ${rebuildTimeoutMs} ms`));
    const rows = await withDeadline(clock, rebuildTimeoutMs, undefined, late, (signal) =>
      abortable(rebuild(this.manifest, event.firstRow, event.rows, signal), signal),
    ).catch((error: unknown) => {
      throw error instanceof CatalogStoreError ? error : lost(error);
    });
    if (rows === undefined) throw lost(cause);
    if (!this.#isOf(index, rows)) {
      throw lost(new Error('what it was rebuilt from has other bundles in these rows'));
    }
    events.emit('rebuilt', { ...event, isStored: await this.#restore(index, rows) });
    return rows;
  }

  /** Never rejects: the rows are there, whether or not Redis takes them. */
  async #restore(index: number, rows: Rows): Promise<boolean> {
    const { connection, keys, options } = this.#parts;
    const { attempt } = this.#record;
    try {
      const chunk = await encodeChunk(rows, { series: this.manifest.generation, index });
      const args = [chunk, attempt, options.graceMs];
      await connection.run([
        { script: RESTORE, keys: [keys.current, keys.chunk(attempt, index)], args },
      ]);
      return true;
    } catch {
      return false;
    }
  }

  #eventOf(index: number): ChunkEvent {
    const { rowsPerChunk } = this.#record;
    const { generation, rows } = this.manifest;
    const firstRow = index * rowsPerChunk;
    return { generation, firstRow, rows: Math.min(rowsPerChunk, rows - firstRow) };
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new CatalogStoreError(REDIS, 'closed', 'has closed this reader');
  }
}
