import { hash } from 'node:crypto';
import type { Journal } from '@holdfast/journal';
import { type Clock, isHoldfastError, KeyedMutex } from '@holdfast/foundation';
import { errnoOf } from '../backends/disk/errors.ts';
import { type parseBody, slices } from '../object/body.ts';
import { InvalidBodyError, StorageFullError } from '../errors.ts';
import type { Blobs } from '../journal/blobs.ts';
import type { Budget, Reservation } from './budget.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import type { Operation } from '../journal/operation.ts';

export interface WriteAcceptorDeps {
  readonly journal: Journal;
  readonly log: OperationLog;
  readonly blobs: Blobs;
  readonly budget: Budget;
  readonly clock: Clock;
  readonly inlineBytes: number;
  readonly minFreeBytes: number;
  /** The highest generation in the journal. */
  readonly generation: number;
}

export interface ObjectAttributes {
  readonly contentType: string;
  readonly maxAgeSeconds: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface AcceptedWrite {
  readonly operation: Operation;
  /** The body, as far as it stands in memory anyway. */
  readonly bytes: Uint8Array | undefined;
}

/** A body that is kept: in its record, or in a file. */
type KeptBody = Pick<Operation, 'size' | 'sha256' | 'blob'>;

const nothing: ObjectAttributes = { contentType: '', maxAgeSeconds: 0, metadata: {} };
const noBytes: KeptBody = { size: 0, sha256: '' };
const outOfSpace = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** Writes of one process, at most. */
const GENERATIONS_EACH = 2 ** 32;
/** How long what the disk has left is believed. */
const FREE_KNOWN_MS = 1_000;

/** Makes writes durable, those of one key in the order of their calls. */
export class WriteAcceptor {
  readonly #deps: WriteAcceptorDeps;
  readonly #turns = new KeyedMutex();
  #generation: number;
  #free = { bytes: Infinity, untilMs: -Infinity };
  #asking: Promise<void> | undefined;

  constructor(parts: WriteAcceptorDeps) {
    this.#deps = parts;
    // What an earlier process has used may be let go of and forgotten: each has a range of its own.
    this.#generation = Math.max(parts.generation, parts.journal.epoch * GENERATIONS_EACH);
  }

  /**
   * @param accepted is told in the turn of the key, before the next write of it begins.
   * @throws InvalidBodyError, BodyNotRepeatableError, StorageFullError, the journal's errors, the signal's
   *   own reason; nothing is kept then
   */
  put(
    key: string,
    body: ReturnType<typeof parseBody>,
    description: ObjectAttributes,
    signal: AbortSignal | undefined,
    accepted: (taken: AcceptedWrite) => void,
  ): Promise<Operation> {
    return this.#turns.run(key, async () => {
      signal?.throwIfAborted();
      const size = 'bytes' in body ? body.bytes.byteLength : 0;
      const reservation = this.#deps.budget.reserve(size);
      let blob: string | undefined;
      try {
        const isKnown = this.#deps.clock.now() < this.#free.untilMs;
        // What was let go of since is seen only by asking.
        if (!isKnown || !this.#hasRoom(size)) await this.#askFree();
        this.#takeFree(size);
        const id = this.#nextId();
        const inline = 'bytes' in body && size <= this.#deps.inlineBytes ? body.bytes : undefined;
        let written: KeptBody;
        if (inline === undefined) {
          written = await this.#spool(key, id.id, body, reservation, signal);
          ({ blob } = written);
        } else {
          written = { size, sha256: hash('sha256', inline, 'hex') };
        }
        const operation = this.#operation('put', key, id, description, written);
        signal?.throwIfAborted();
        await this.#deps.log.append(operation, inline);
        accepted({ operation, bytes: 'bytes' in body ? body.bytes : undefined });
        return operation;
      } catch (error) {
        reservation.cancel();
        // Where the record may stand in the journal after all, the bytes it names have to.
        const isInDoubt = isHoldfastError(error) && error.outcome === 'unknown';
        if (blob !== undefined && !isInDoubt) {
          await Promise.allSettled([this.#deps.blobs.remove(blob)]);
        }
        if (outOfSpace.has(errnoOf(error) ?? '')) {
          throw new StorageFullError('disk', size, 'the disk is full', { cause: error });
        }
        throw error;
      }
    });
  }

  /** @throws StorageFullError, the journal's errors, the signal's own reason */
  remove(
    key: string,
    signal: AbortSignal | undefined,
    accepted: (taken: AcceptedWrite) => void,
  ): Promise<Operation> {
    return this.#turns.run(key, async () => {
      signal?.throwIfAborted();
      const reservation = this.#deps.budget.reserve(0);
      try {
        const operation = this.#operation('remove', key, this.#nextId(), nothing, noBytes);
        await this.#deps.log.append(operation, undefined);
        accepted({ operation, bytes: undefined });
        return operation;
      } catch (error) {
        reservation.cancel();
        throw error;
      }
    });
  }

  async #spool(
    key: string,
    id: string,
    body: ReturnType<typeof parseBody>,
    reservation: Reservation,
    signal: AbortSignal | undefined,
  ): Promise<KeptBody & { blob: string }> {
    const isKnown = 'bytes' in body;
    const chunks = isKnown ? slices(body.bytes) : await body.open();
    const { blobs } = this.#deps;
    return blobs.write(id, checked(key, chunks, signal), (bytes) => {
      if (!isKnown) reservation.grow(bytes);
    });
  }

  /** The journal's id makes it ours, the generation makes it the only one. */
  #nextId(): { id: string; generation: number } {
    this.#generation += 1;
    const generation = this.#generation;
    return { id: `${this.#deps.journal.id}-${generation.toString(36)}`, generation };
  }

  #operation(
    kind: Operation['kind'],
    key: string,
    { id, generation }: { id: string; generation: number },
    { contentType, maxAgeSeconds, metadata }: ObjectAttributes,
    { size, sha256, blob }: KeptBody,
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

  /** One question for all who have to know at the same time. */
  #askFree(): Promise<void> {
    const { blobs, clock } = this.#deps;
    const ask = async (): Promise<void> => {
      const untilMs = clock.now() + FREE_KNOWN_MS;
      this.#free = { bytes: await blobs.freeBytes(), untilMs };
    };
    this.#asking ??= ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  #hasRoom(bytes: number): boolean {
    return this.#free.bytes - bytes >= this.#deps.minFreeBytes;
  }

  #takeFree(bytes: number): void {
    const { minFreeBytes } = this.#deps;
    if (!this.#hasRoom(bytes)) {
      const seen = `the disk has ${this.#free.bytes} bytes left, ${minFreeBytes} are to stay free`;
      throw new StorageFullError('minFreeBytes', bytes, seen);
    }
    this.#free.bytes -= bytes;
  }
}

/** Chunks that are bytes, for as long as they are wanted. */
async function* checked(
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
