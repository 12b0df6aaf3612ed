import { Readable } from 'node:stream';
import { types } from 'node:util';
import { corrupted } from './corruptions.ts';
import { injectedError } from '../injected-error.ts';
import type { InjectedFault } from '../injected-faults.ts';

/** What becomes of a chunk. */
interface Passed {
  /** What the reader gets of it. */
  readonly chunk?: unknown;
  /** The stream ends or fails after it. */
  readonly end?: { readonly error: Error | undefined };
}

/** A stream under a fault gives what came before it: half of it, or of its first chunk when its length is not known. */
export class StreamDamage {
  readonly #injected: InjectedFault;
  readonly #failure: Error | undefined;
  #leftBytes: number | undefined;
  #isCorrupted = false;

  /** @param failure the error of a stream that breaks off; default: the injected one. */
  constructor(injected: InjectedFault, totalBytes?: number, failure?: Error) {
    const { kind, fault, injection } = injected;
    this.#injected = injected;
    if (kind === 'partial_failure') {
      this.#failure = failure ?? injectedError(injection, fault.errorMessage);
    }
    if (totalBytes !== undefined) this.#leftBytes = Math.floor(totalBytes * this.#keptShare);
  }

  pass(chunk: unknown): Passed {
    const { kind, random } = this.#injected;
    if (kind === 'data_corruption') {
      if (this.#isCorrupted) return { chunk };
      const changed: unknown = corrupted(chunk, random);
      this.#isCorrupted = changed !== chunk;
      return { chunk: changed };
    }
    const end = { error: this.#failure };
    if (this.#keptShare === 1) return { chunk };
    if (typeof chunk !== 'string' && !types.isUint8Array(chunk)) return { chunk, end };
    this.#leftBytes ??= Math.floor(chunk.length * this.#keptShare);
    if (chunk.length < this.#leftBytes) {
      this.#leftBytes -= chunk.length;
      return { chunk };
    }
    const kept =
      typeof chunk === 'string'
        ? chunk.slice(0, this.#leftBytes)
        : chunk.subarray(0, this.#leftBytes);
    return kept.length === 0 ? { end } : { chunk: kept, end };
  }

  /** The error with which a stream ends that was not broken off before. */
  finish(): Error | undefined {
    return this.#failure;
  }

  get #keptShare(): number {
    const { kind, fault } = this.#injected;
    return kind === 'malformed_response' ? 0.5 : 1 - fault.lostShare;
  }
}

/** Returns a stream of the same kind under a fault, or `undefined` for what is no stream. */
export function damagedStream(value: unknown, injected: InjectedFault): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (isWebStream(value)) return damagedWebStream(value, new StreamDamage(injected));
  if (!isAsyncIterable(value)) return undefined;
  const chunks = damagedChunks(value, new StreamDamage(injected));
  if (!('pipe' in value))
    return 'next' in value ? chunks : { [Symbol.asyncIterator]: () => chunks };
  const objectMode = 'readableObjectMode' in value && value.readableObjectMode === true;
  // One chunk at a time: a stream that fails drops what it has read ahead.
  const damaged = Readable.from(chunks, { objectMode, highWaterMark: 1 });
  if (value instanceof Readable) {
    // Until it is read, nobody else listens to the source, and nobody else would destroy it.
    value.on('error', () => {});
    damaged.once('close', () => value.destroy());
  }
  return damaged;
}

/** Reads only what is asked for: a stream that fails drops what it has read ahead. */
export function damagedWebStream<Chunk>(
  stream: ReadableStream<Chunk>,
  damage: StreamDamage,
): ReadableStream<Chunk> {
  const reader = stream.getReader();
  let end: Passed['end'];
  const finish = async (controller: ReadableStreamDefaultController, error: Error | undefined) => {
    if (error === undefined) controller.close();
    else controller.error(error);
    await reader.cancel(error).catch(() => {});
  };
  const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
    if (end !== undefined) return finish(controller, end.error);
    const { done, value } = await reader.read();
    if (done) return finish(controller, damage.finish());
    const passed = damage.pass(value);
    end = passed.end;
    if (passed.chunk === undefined) return pull(controller);
    controller.enqueue(passed.chunk);
    return undefined;
  };
  return new ReadableStream(
    { pull, cancel: (reason) => reader.cancel(reason) },
    { highWaterMark: 0 },
  );
}

async function* damagedChunks(
  source: AsyncIterable<unknown>,
  damage: StreamDamage,
): AsyncGenerator<unknown, void> {
  for await (const value of source) {
    const { chunk, end } = damage.pass(value);
    if (chunk !== undefined) yield chunk;
    if (end?.error !== undefined) throw end.error;
    if (end !== undefined) return;
  }
  const failure = damage.finish();
  if (failure !== undefined) throw failure;
}

export function isWebStream(value: object): value is ReadableStream {
  return 'getReader' in value && 'cancel' in value && 'locked' in value;
}

function isAsyncIterable(value: object): value is AsyncIterable<unknown> {
  return Symbol.asyncIterator in value;
}
