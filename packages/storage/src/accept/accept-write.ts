import { hash } from 'node:crypto';
import type { Journal } from '@holdfast/journal';
import { type Clock, isHoldfastError } from '@holdfast/foundation';
import { InvalidBodyError, StorageFullError } from '../errors.ts';
import { errnoOf } from '../files/errno.ts';
import type { BodyFiles } from '../journal/blobs.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import type { Operation } from '../journal/operation.ts';
import { type parseBody, slices } from '../object/body.ts';
import type { Budget, Reservation } from './budget.ts';

interface WriteAcceptorDeps {
  readonly journal: Journal;
  readonly log: OperationLog;
  readonly blobs: BodyFiles;
  readonly budget: Budget;
  readonly clock: Clock;
  readonly inlineBytes: number;
  readonly minFreeBytes: number;
  /** The highest generation in the journal. */
  readonly generation: number;
}

type ObjectAttributes = Pick<Operation, 'contentType' | 'maxAgeSeconds' | 'metadata'>;

/** A write that is durable in the journal. */
export interface AcceptedWrite {
  readonly operation: Operation;
  /** The body, if it is in memory. */
  readonly bytes: Uint8Array | undefined;
}

/** A body in its record, or in a file. */
type StoredBody = Pick<Operation, 'size' | 'sha256' | 'blob'>;
type OperationId = Pick<Operation, 'id' | 'generation'>;

const noAttributes: ObjectAttributes = { contentType: '', maxAgeSeconds: 0, metadata: {} };
const noBody: StoredBody = { size: 0, sha256: '' };
const outOfSpace = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** Writes of one process, at most. */
const GENERATIONS_PER_PROCESS = 2 ** 32;
/** How long a measurement of the free disk space is used. */
const FREE_SPACE_VALID_MS = 1_000;

/** Makes writes durable. The caller calls it for one write of a key at a time. */
export class WriteAcceptor {
  readonly #deps: WriteAcceptorDeps;
  #generation: number;
  #free = { bytes: Infinity, untilMs: -Infinity };
  #measuring: Promise<void> | undefined;

  constructor(deps: WriteAcceptorDeps) {
    this.#deps = deps;
    // The journal may have released what an earlier process wrote: every process has its own range.
    this.#generation = Math.max(deps.generation, deps.journal.epoch * GENERATIONS_PER_PROCESS);
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
      await this.#deps.log.append(operation, inline);
      return { operation, bytes };
    } catch (error) {
      reservation.cancel();
      // If the record may be in the journal after all, the file that it names has to stay.
      const isInDoubt = isHoldfastError(error) && error.outcome === 'unknown';
      if (blob !== undefined && !isInDoubt) {
        await Promise.allSettled([this.#deps.blobs.remove(blob)]);
      }
      if (outOfSpace.has(errnoOf(error) ?? '')) {
        throw new StorageFullError('disk', size, 'the disk is full', { cause: error });
      }
      throw error;
    }
  }

  /** @throws StorageFullError, the journal's errors */
  async remove(key: string): Promise<AcceptedWrite> {
    const reservation = this.#deps.budget.reserve(0);
    try {
      const operation = this.#operation('remove', key, this.#nextId(), noAttributes, noBody);
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
    const chunks = isSizeKnown ? slices(body.bytes) : await body.open();
    return this.#deps.blobs.write(id, checkChunks(key, chunks, signal), (bytes) => {
      if (!isSizeKnown) reservation.grow(bytes);
    });
  }

  /** The journal's id tells our operations from others', the generation makes each id unique. */
  #nextId(): OperationId {
    this.#generation += 1;
    const generation = this.#generation;
    return { id: `${this.#deps.journal.id}-${generation.toString(36)}`, generation };
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

/** Throws for chunks that are not bytes, and once the signal aborts. */
async function* checkChunks(
  key: string,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    const given: unknown = chunk;
    if (typeof given === 'string') yield Buffer.from(given);
    else if (given instanceof Uint8Array || Buffer.isBuffer(given)) yield chunk;
    else throw new InvalidBodyError(key, `the stream gave ${typeof given} instead of bytes`);
  }
}
