import type { Socket } from 'node:net';
import type { Clock, Timer } from '@holdfast/foundation';
import { type Chunk, type ChunkTransform, notAfter, notBefore } from './chunk.ts';

/** The collaborators of a {@link Pipe}. */
interface PipeDeps {
  readonly source: Socket;
  readonly sink: Socket;
  readonly clock: Clock;
  /** Above this, no more is read from the source until some of it has been sent. */
  readonly maxBufferedBytes: number;
  readonly onBytes: (count: number) => void;
  /** Called for delayed bytes: by how much they were to be delayed, and by how much they were. */
  readonly onDelayed: (wantedMs: number, achievedMs: number) => void;
  /** Called when a fault ends the connection. */
  readonly onCut: (kind: 'close' | 'reset') => void;
}

/**
 * One direction of a connection: everything the source sends reaches the sink, in order. Without a fault it writes
 * each chunk at once, with backpressure; chunks are queued only while a fault is active.
 */
export class Pipe {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #clock: Clock;
  readonly #deps: PipeDeps;
  #transforms: readonly ChunkTransform[] = [];
  /** A fault keeps everything back. */
  #isHeld = false;
  /** The sink's buffer is full. */
  #isBlocked = false;
  #queue: Chunk[] = [];
  /** The index at which the queue begins; removing from the front of a long array is expensive. */
  #first = 0;
  #bufferedBytes = 0;
  #lastDueMs = 0;
  #timer: Timer | undefined;

  constructor(deps: PipeDeps) {
    this.#deps = deps;
    this.#source = deps.source;
    this.#sink = deps.sink;
    this.#clock = deps.clock;
    this.#source.on('data', this.#onData);
    this.#source.on('end', this.#onEnd);
    this.#sink.on('drain', this.#onDrain);
    // A closed sink does not drain any longer, and discards what is written to it.
    this.#sink.on('close', this.#onDrain);
    this.#updateSource();
  }

  /** Sets the active faults. `releases` says that a fault has ended which delayed queued chunks: they are sent now. */
  change(to: { transforms: readonly ChunkTransform[]; isHeld: boolean; releases: boolean }): void {
    this.#transforms = to.transforms;
    this.#isHeld = to.isHeld;
    if (to.releases) {
      const nowMs = this.#clock.now();
      this.#lastDueMs = nowMs;
      this.#queue = this.#queue.slice(this.#first).map((chunk) => notAfter(chunk, nowMs));
      this.#first = 0;
    }
    this.#release();
  }

  /**
   * Takes bytes from a buffer that the source would reuse, in place of `data` events.
   * @returns whether the bytes are still in use, so that the source must read into another buffer.
   */
  receive(bytes: Buffer): boolean {
    if (!this.#isPlain()) {
      this.#enqueueBytes(Buffer.from(bytes));
      return false;
    }
    this.#pass(bytes);
    // The system has nearly always taken them by now.
    return this.#sink.writableLength > 0;
  }

  /** Passes a reset of the source on, in order with its bytes. */
  forwardReset(): void {
    this.#enqueue({ kind: 'reset', dueMs: this.#clock.now() });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#sink.off('drain', this.#onDrain);
    this.#sink.off('close', this.#onDrain);
    this.#queue = [];
    this.#first = 0;
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#isPlain()) this.#pass(bytes);
    else this.#enqueueBytes(bytes);
  };

  readonly #onEnd = (): void => this.#enqueue({ kind: 'end', dueMs: this.#clock.now() });

  readonly #onDrain = (): void => {
    this.#isBlocked = false;
    this.#release();
  };

  #isPlain(): boolean {
    return this.#transforms.length === 0 && this.#first === this.#queue.length && !this.#isHeld;
  }

  #pass(bytes: Buffer): void {
    this.#write(bytes);
    if (this.#isBlocked) this.#source.pause();
  }

  #write(bytes: Buffer): void {
    this.#deps.onBytes(bytes.length);
    if (this.#sink.destroyed || this.#sink.writableEnded) return;
    if (!this.#sink.write(bytes)) this.#isBlocked = true;
  }

  #enqueueBytes(bytes: Buffer): void {
    const nowMs = this.#clock.now();
    this.#enqueue({ kind: 'bytes', bytes, arrivedMs: nowMs, dueMs: nowMs });
  }

  #enqueue(chunk: Chunk): void {
    let chunks: readonly Chunk[] = [chunk];
    for (const transform of this.#transforms) chunks = chunks.flatMap((each) => transform(each));
    for (const each of chunks) {
      this.#lastDueMs = Math.max(this.#lastDueMs, each.dueMs);
      this.#queue.push(notBefore(each, this.#lastDueMs));
      if (each.kind === 'bytes') this.#bufferedBytes += each.bytes.length;
    }
    if (this.#timer === undefined) this.#release();
    else this.#updateSource();
  }

  /** Sends every chunk that is due, and arms the timer for the next one. */
  readonly #release = (): void => {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (!this.#isHeld && !this.#isBlocked) {
      const chunk = this.#queue[this.#first];
      if (chunk === undefined) break;
      const nowMs = this.#clock.now();
      if (chunk.dueMs > nowMs) {
        this.#timer = this.#clock.schedule(chunk.dueMs - nowMs, this.#release);
        break;
      }
      this.#first += 1;
      this.#deliver(chunk, nowMs);
    }
    if (this.#first === this.#queue.length) {
      this.#queue = [];
      this.#first = 0;
    } else if (this.#first > 1_000 && this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    this.#updateSource();
  };

  #deliver(chunk: Chunk, nowMs: number): void {
    if (chunk.kind === 'end') {
      this.#sink.end();
    } else if (chunk.kind !== 'bytes') {
      this.#deps.onCut(chunk.kind);
    } else {
      this.#bufferedBytes -= chunk.bytes.length;
      if (chunk.dueMs > chunk.arrivedMs)
        this.#deps.onDelayed(chunk.dueMs - chunk.arrivedMs, nowMs - chunk.arrivedMs);
      this.#write(chunk.bytes);
    }
  }

  #updateSource(): void {
    const isFull = this.#bufferedBytes >= this.#deps.maxBufferedBytes;
    if (this.#isHeld || this.#isBlocked || isFull) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
  }
}
