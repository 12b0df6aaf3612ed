import type { Socket } from 'node:net';
import type { Clock, Timer } from '@holdfast/foundation';
import { type Chunk, type ChunkTransform, notAfter, notBefore } from './chunk.ts';

/** The collaborators of a {@link Pipe}. */
interface PipeDeps {
  readonly source: Socket;
  readonly sink: Socket;
  readonly clock: Clock;
  /** Above this, with what the bytes cost to hold, no more is read from the source until some of it has been sent. */
  readonly maxBufferedBytes: number;
  readonly onRead: (count: number) => void;
  readonly onBytes: (count: number) => void;
  /** Called for delayed bytes: by how much they were to be delayed, and by how much they were. */
  readonly onDelayed: (wantedMs: number, achievedMs: number) => void;
  /** Called when a fault ends the connection. */
  readonly onCut: (kind: 'close' | 'reset') => void;
}

/** What arrived at one time, the faults it meets, and the time at which a fault that has ended lets it go. */
interface Held {
  readonly chunk: Chunk;
  readonly transforms: readonly ChunkTransform[];
  latestMs: number;
}

/** What it costs to hold a chunk beside its bytes: its objects, and the memory they were read into. */
const CHUNK_COST_BYTES = 512;
/** How many small chunks may wait in the sink at one time; each costs far more than its bytes. */
const MAX_PENDING_WRITES = 256;
/** How many chunks are sent in one turn of the event loop, so that a million small ones do not stall it. */
const CHUNKS_A_TURN = 4_096;

/**
 * One direction of a connection: everything the source sends reaches the sink, in order. Without a fault it writes
 * each chunk at once, with backpressure. With one, chunks are held as they arrived, and meet the faults only when it
 * is their turn: so a fault that makes a million small chunks of them costs no more than one that makes none.
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
  #queue: Held[] = [];
  /** The index at which the queue begins; removing from the front of a long array is expensive. */
  #first = 0;
  /** What is left of the first chunk: its parts, the latest time for them, and the next one to be sent. */
  #parts: Iterator<Chunk> | undefined;
  #partsLatestMs = Infinity;
  #partsCostBytes = 0;
  #next: Chunk | undefined;
  #heldBytes = 0;
  #pendingWrites = 0;
  #lastDueMs = 0;
  #timer: Timer | undefined;
  #turn: NodeJS.Immediate | undefined;

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
      this.#partsLatestMs = Math.min(this.#partsLatestMs, nowMs);
      if (this.#next !== undefined) this.#next = notAfter(this.#next, nowMs);
      for (let index = this.#first; index < this.#queue.length; index += 1) {
        const held = this.#queue[index];
        if (held !== undefined) held.latestMs = Math.min(held.latestMs, nowMs);
      }
    }
    this.#release();
  }

  /**
   * Takes bytes from a buffer that the source would reuse, in place of `data` events.
   * @returns whether the bytes are still in use, so that the source must read into another buffer.
   */
  receive(bytes: Buffer): boolean {
    if (!this.#isPlain()) {
      this.#onData(Buffer.from(bytes));
      return false;
    }
    this.#onData(bytes);
    // The system has nearly always taken them by now.
    return this.#sink.writableLength > 0;
  }

  /** Passes a reset of the source on, in order with its bytes. */
  forwardReset(): void {
    this.#enqueue({ kind: 'reset', dueMs: this.#clock.now() });
  }

  stop(): void {
    this.#timer?.cancel();
    clearImmediate(this.#turn);
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#sink.off('drain', this.#onDrain);
    this.#sink.off('close', this.#onDrain);
    this.#queue = [];
    this.#first = 0;
    this.#parts = undefined;
    this.#next = undefined;
    this.#isHeld = true;
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#deps.onRead(bytes.length);
    if (this.#isPlain()) {
      this.#write(bytes);
      if (this.#isBlocked) this.#source.pause();
      return;
    }
    const nowMs = this.#clock.now();
    this.#enqueue({ kind: 'bytes', bytes, arrivedMs: nowMs, dueMs: nowMs });
  };

  readonly #onEnd = (): void => this.#enqueue({ kind: 'end', dueMs: this.#clock.now() });

  readonly #onDrain = (): void => {
    this.#isBlocked = false;
    this.#pendingWrites = 0;
    this.#release();
  };

  #isPlain(): boolean {
    return this.#transforms.length === 0 && !this.#isHeld && this.#isEmpty();
  }

  #isEmpty(): boolean {
    return (
      this.#next === undefined && this.#parts === undefined && this.#first === this.#queue.length
    );
  }

  #write(bytes: Buffer): void {
    this.#deps.onBytes(bytes.length);
    if (this.#sink.destroyed || this.#sink.writableEnded) return;
    this.#pendingWrites = this.#sink.writableLength === 0 ? 0 : this.#pendingWrites + 1;
    if (this.#pendingWrites >= MAX_PENDING_WRITES) {
      this.#isBlocked = true;
      this.#sink.write(bytes, this.#onDrain);
    } else if (!this.#sink.write(bytes)) {
      this.#isBlocked = true;
    }
  }

  #enqueue(chunk: Chunk): void {
    this.#queue.push({ chunk, transforms: this.#transforms, latestMs: Infinity });
    this.#heldBytes += costOf(chunk);
    if (this.#timer === undefined && this.#turn === undefined) this.#release();
    else this.#updateSource();
  }

  /** Sends every chunk that is due, and arms the timer for the next one. */
  readonly #release = (): void => {
    this.#timer?.cancel();
    this.#timer = undefined;
    clearImmediate(this.#turn);
    this.#turn = undefined;
    for (let sent = 0; !this.#isHeld && !this.#isBlocked; sent += 1) {
      const chunk = this.#peek();
      if (chunk === undefined) break;
      const nowMs = this.#clock.now();
      if (chunk.dueMs > nowMs) {
        this.#timer = this.#clock.schedule(chunk.dueMs - nowMs, this.#release);
        break;
      }
      if (sent === CHUNKS_A_TURN) {
        this.#turn = setImmediate(this.#release);
        break;
      }
      this.#next = undefined;
      this.#deliver(chunk, nowMs);
    }
    this.#updateSource();
  };

  /** Returns the next part to be sent, and keeps it. */
  #peek(): Chunk | undefined {
    while (this.#next === undefined) {
      if (this.#parts === undefined) {
        const held = this.#shift();
        if (held === undefined) return undefined;
        this.#parts = partsOf(held.chunk, held.transforms)[Symbol.iterator]();
        this.#partsLatestMs = held.latestMs;
        this.#partsCostBytes = costOf(held.chunk);
      }
      const part = this.#parts.next();
      if (part.done === true) {
        this.#parts = undefined;
        this.#heldBytes -= this.#partsCostBytes;
        continue;
      }
      const inTime = notAfter(part.value, this.#partsLatestMs);
      this.#lastDueMs = Math.max(this.#lastDueMs, inTime.dueMs);
      this.#next = notBefore(inTime, this.#lastDueMs);
    }
    return this.#next;
  }

  #shift(): Held | undefined {
    const held = this.#queue[this.#first];
    if (held === undefined) return undefined;
    this.#first += 1;
    if (this.#first === this.#queue.length) {
      this.#queue = [];
      this.#first = 0;
    } else if (this.#first > 1_000 && this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    return held;
  }

  #deliver(chunk: Chunk, nowMs: number): void {
    if (chunk.kind === 'end') {
      this.#sink.end();
    } else if (chunk.kind !== 'bytes') {
      this.#deps.onCut(chunk.kind);
    } else {
      if (chunk.dueMs > chunk.arrivedMs)
        this.#deps.onDelayed(chunk.dueMs - chunk.arrivedMs, nowMs - chunk.arrivedMs);
      this.#write(chunk.bytes);
    }
  }

  #updateSource(): void {
    const isFull = this.#heldBytes >= this.#deps.maxBufferedBytes;
    if (this.#isHeld || this.#isBlocked || isFull) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
  }
}

/** Returns what the faults make of a chunk, each part when it is asked for. */
function partsOf(chunk: Chunk, transforms: readonly ChunkTransform[]): Iterable<Chunk> {
  return transforms.reduce(
    (parts: Iterable<Chunk>, transform) => ({
      *[Symbol.iterator]() {
        for (const part of parts) yield* transform(part);
      },
    }),
    [chunk],
  );
}

function costOf(chunk: Chunk): number {
  return CHUNK_COST_BYTES + (chunk.kind === 'bytes' ? chunk.bytes.length : 0);
}
