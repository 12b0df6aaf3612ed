import { hash } from 'node:crypto';
import type { Journal } from '@holdfast/journal';
import { type Clock, abortable, isHoldfastError } from '@holdfast/foundation';
import { InvalidBodyError, StorageClosedError, StorageFullError } from '../errors.ts';
import { isOutOfSpace } from '../files/errno.ts';
import type { BodyFiles } from '../journal/blobs.ts';
import type { BlockChecksums } from '../journal/checked-file.ts';
import type { WriterLives } from '../journal/lives.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import type { Operation } from '../journal/operation.ts';
import { type parseBody, slices } from '../object/body.ts';
import type { Budget, Reservation } from './budget.ts';

interface WriteAcceptorDeps {
  readonly journal: Journal;
  readonly lives: WriterLives;
  readonly log: OperationLog;
  readonly blobs: BodyFiles;
  readonly budget: Budget;
  readonly clock: Clock;
  readonly inlineBytes: number;
  readonly minFreeBytes: number;
  /** The highest generation in the journal; `undefined` when it contains no write. */
  readonly generation: number | undefined;
}

type ObjectAttributes = Pick<Operation, 'contentType' | 'maxAgeSeconds' | 'metadata'>;

/** A write that is durable in the journal. */
export interface AcceptedWrite {
  readonly operation: Operation;
  /** The body, if it is in memory. */
  readonly bytes: Uint8Array | undefined;
}

/** A body in its record, or in a file. */
type StoredBody = Pick<Operation, 'size' | 'sha256' | 'blob'> & { blocks?: BlockChecksums };
type OperationId = Pick<Operation, 'id' | 'generation'>;

const noAttributes: ObjectAttributes = { contentType: '', maxAgeSeconds: 0, metadata: {} };
const noBody: StoredBody = { size: 0, sha256: '' };
/** Writes of one process, at most. */
const GENERATIONS_PER_PROCESS = 2 ** 32;
/** How long a measurement of the free disk space is used. */
const FREE_SPACE_VALID_MS = 1_000;

/** Makes writes durable. The caller calls it for one write of a key at a time. */
export class WriteAcceptor {
  readonly #deps: WriteAcceptorDeps;
  readonly #closing = new AbortController();
  #generation: number;
  #free = { bytes: Infinity, untilMs: -Infinity };
  #measuring: Promise<void> | undefined;

  constructor(deps: WriteAcceptorDeps) {
    this.#deps = deps;
    // The journal may have released what an earlier process wrote: every process has its own range.
    this.#generation = Math.max(deps.generation ?? 0, deps.journal.epoch * GENERATIONS_PER_PROCESS);
  }

  /**
   * @throws InvalidBodyError, BodyNotRepeatableError, StorageFullError, the journal's errors, the signal's
   *   own reason; nothing is kept then
   */
  async put(
    key: string,
    body: ReturnType<typeof parseBody>,
    attributes: ObjectAttributes,
    signal: AbortSignal | undefined,
  ): Promise<AcceptedWrite> {
    const bytes = 'bytes' in body ? body.bytes : undefined;
    const size = bytes?.byteLength ?? 0;
    const reservation = this.#deps.budget.reserve(size);
    let blob: string | undefined;
    try {
      const isFresh = this.#deps.clock.now() < this.#free.untilMs;
      // Only a new measurement shows space that was released since.
      if (!isFresh || !this.#hasSpace(size)) await this.#refreshFreeSpace();
      this.#takeSpace(size);
      const id = this.#nextId();
      const inline = bytes !== undefined && size <= this.#deps.inlineBytes ? bytes : undefined;
      let stored: StoredBody;
      if (inline === undefined) {
        stored = await this.#writeBlob(key, id.id, body, reservation, signal);
        ({ blob } = stored);
      } else {
        stored = { size, sha256: hash('sha256', inline, 'hex') };
      }
      const operation = this.#operation('put', key, id, attributes, stored);
      signal?.throwIfAborted();
      await this.#deps.log.append(operation, inline, stored.blocks);
      return { operation, bytes };
    } catch (error) {
      reservation.cancel();
      // If the record may be in the journal after all, the file that it names has to stay.
      const isInDoubt = isHoldfastError(error) && error.outcome === 'unknown';
      if (blob !== undefined && !isInDoubt) {
        await Promise.allSettled([this.#deps.blobs.remove(blob)]);
      }
      if (isOutOfSpace(error)) {
        throw new StorageFullError('disk', size, 'the disk is full', { cause: error });
      }
      throw error;
    }
  }

  /**
   * @param onlyOurs whether another writer's object, found in its place after an outage, stays.
   * @throws StorageFullError, the journal's errors
   */
  async remove(key: string, onlyOurs = false): Promise<AcceptedWrite> {
    const reservation = this.#deps.budget.reserve(0);
    try {
      const removal = this.#operation('remove', key, this.#nextId(), noAttributes, noBody);
      const operation: Operation = onlyOurs ? { ...removal, onlyOurs } : removal;
      await this.#deps.log.append(operation, undefined);
      return { operation, bytes: undefined };
    } catch (error) {
      reservation.cancel();
      throw error;
    }
  }

  async #writeBlob(
    key: string,
    id: string,
    body: ReturnType<typeof parseBody>,
    reservation: Reservation,
    signal: AbortSignal | undefined,
  ): Promise<StoredBody> {
    const isSizeKnown = 'bytes' in body;
    const signals = signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal];
    const chunks = isSizeKnown ? slices(body.bytes) : await untilAborted(body.open(), signals);
    return this.#deps.blobs.write(id, checkChunks(key, chunks, signals), (bytes) => {
      if (!isSizeKnown) reservation.grow(bytes);
    });
  }

  /** Rejects the writes whose bodies are still being read. */
  close(): void {
    this.#closing.abort(new StorageClosedError('upload'));
  }

  /** The identity tells our operations from others', the generation makes each id unique. */
  #nextId(): OperationId {
    this.#generation += 1;
    const generation = this.#generation;
    return { id: this.#deps.lives.operationId(generation), generation };
  }

  #operation(
    kind: Operation['kind'],
    key: string,
    { id, generation }: OperationId,
    { contentType, maxAgeSeconds, metadata }: ObjectAttributes,
    { size, sha256, blob }: StoredBody,
  ): Operation {
    return {
      kind,
      key,
      id,
      generation,
      acceptedAtEpochMs: Math.round(this.#deps.clock.epochMs()),
      size,
      sha256,
      contentType,
      maxAgeSeconds,
      metadata,
      ...(blob !== undefined && { blob }),
    };
  }

  /** Concurrent callers share one measurement. */
  #refreshFreeSpace(): Promise<void> {
    const { blobs, clock } = this.#deps;
    const measure = async (): Promise<void> => {
      const untilMs = clock.now() + FREE_SPACE_VALID_MS;
      this.#free = { bytes: await blobs.freeBytes(), untilMs };
    };
    this.#measuring ??= measure().finally(() => (this.#measuring = undefined));
    return this.#measuring;
  }

  #hasSpace(bytes: number): boolean {
    return this.#free.bytes - bytes >= this.#deps.minFreeBytes;
  }

  #takeSpace(bytes: number): void {
    const { minFreeBytes } = this.#deps;
    if (!this.#hasSpace(bytes)) {
      const seen = `the disk has ${this.#free.bytes} bytes left, ${minFreeBytes} have to stay free`;
      throw new StorageFullError('minFreeBytes', bytes, seen);
    }
    this.#free.bytes -= bytes;
  }
}

/** Settles like `work`, or rejects with the reason of the first signal that aborts. */
function untilAborted<T>(work: Promise<T>, signals: readonly AbortSignal[]): Promise<T> {
  return signals.reduce((pending, signal) => abortable(pending, signal), work);
}

/** Throws for chunks that are not bytes, and as soon as a signal aborts, even if the body never gives another chunk. */
async function* checkChunks(
  key: string,
  chunks: AsyncIterable<Uint8Array>,
  signals: readonly AbortSignal[],
): AsyncGenerator<Uint8Array> {
  const body = chunks[Symbol.asyncIterator]();
  let isRead = false;
  try {
    while (true) {
      const { done = false, value } = await untilAborted(body.next(), signals);
      isRead = done;
      if (done) return;
      const given: unknown = value;
      if (typeof given === 'string') yield Buffer.from(given);
      else if (given instanceof Uint8Array || Buffer.isBuffer(given)) yield given;
      else
        throw new InvalidBodyError(key, `the stream gave ${typeof given} instead of bytes or text`);
    }
  } finally {
    // Not awaited: a body that hangs does not end either.
    if (!isRead) void endOf(body).catch(() => undefined);
  }
}

async function endOf(body: AsyncIterator<Uint8Array>): Promise<void> {
  await body.return?.();
}
