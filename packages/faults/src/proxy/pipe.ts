import type { Socket } from 'node:net';
import type { Clock, Timer } from '@holdfast/foundation';
import { type Chunk, type ChunkTransform, notAfter, notBefore } from './chunk.ts';

/** One direction of a connection: everything that `source` sends reaches `sink`, in its order. */
export interface Pipe {
  /**
   * The faults from now on. What is held back already is let go when `releases` says that a fault which
   * held it has gone.
   */
  change(to: { stages: readonly ChunkTransform[]; isHeld: boolean; releases: boolean }): void;
  /**
   * What the source has read into a buffer that it would use again, in place of its `data` events.
   * @returns whether the bytes are still needed: the source has to read into another buffer from now on.
   */
  receive(bytes: Buffer): boolean;
  /** A reset that came from the source travels like its bytes. */
  carryReset(): void;
  stop(): void;
}

export interface PipeDeps {
  source: Socket;
  sink: Socket;
  clock: Clock;
  /** Above this, no more is read from the source until some of it has left. */
  maxBufferedBytes: number;
  onBytes: (count: number) => void;
  /** Bytes that a fault held back have left: when they were wanted to, and when they did. */
  onDelayed: (wantedMs: number, achievedMs: number) => void;
  onCut: (kind: 'close' | 'reset') => void;
}

/** With no fault it is a plain handler with backpressure; the queue is used only while a fault is set. */
export function createPipe(options: PipeDeps): Pipe {
  const { source, sink, clock, maxBufferedBytes, onBytes, onDelayed, onCut } = options;
  let stages: readonly ChunkTransform[] = [];
  let isHeld = false;
  let isBlocked = false;
  let queue: Chunk[] = [];
  /** Where the queue begins; taking from the front of a long array is not free. */
  let first = 0;
  let bufferedBytes = 0;
  let lastDueMs = 0;
  let timer: Timer | undefined;

  const steerSource = (): void => {
    if (isHeld || isBlocked || bufferedBytes >= maxBufferedBytes) source.pause();
    else if (source.isPaused()) source.resume();
  };

  const write = (bytes: Buffer): void => {
    onBytes(bytes.length);
    if (sink.destroyed || sink.writableEnded) return;
    if (!sink.write(bytes)) isBlocked = true;
  };

  const deliver = (parcel: Chunk, nowMs: number): void => {
    if (parcel.kind === 'end') {
      sink.end();
    } else if (parcel.kind !== 'bytes') {
      onCut(parcel.kind);
    } else {
      bufferedBytes -= parcel.bytes.length;
      if (parcel.dueMs > parcel.arrivedMs) {
        onDelayed(parcel.dueMs - parcel.arrivedMs, nowMs - parcel.arrivedMs);
      }
      write(parcel.bytes);
    }
  };

  const release = (): void => {
    timer?.cancel();
    timer = undefined;
    while (true) {
      const parcel = isHeld || isBlocked ? undefined : queue[first];
      if (parcel === undefined) break;
      const nowMs = clock.now();
      if (parcel.dueMs > nowMs) {
        timer = clock.schedule(parcel.dueMs - nowMs, release);
        break;
      }
      first += 1;
      deliver(parcel, nowMs);
    }
    if (first === queue.length) {
      queue = [];
      first = 0;
    } else if (first > 1_000 && first * 2 > queue.length) {
      queue = queue.slice(first);
      first = 0;
    }
    steerSource();
  };

  const enter = (parcel: Chunk): void => {
    let parcels: readonly Chunk[] = [parcel];
    for (const stage of stages) parcels = parcels.flatMap((each) => stage(each));
    for (const each of parcels) {
      lastDueMs = Math.max(lastDueMs, each.dueMs);
      queue.push(notBefore(each, lastDueMs));
      if (each.kind === 'bytes') bufferedBytes += each.bytes.length;
    }
    if (timer === undefined) release();
    else steerSource();
  };

  const isPlain = (): boolean => stages.length === 0 && first === queue.length && !isHeld;

  const pass = (bytes: Buffer): void => {
    write(bytes);
    if (isBlocked) source.pause();
  };
  const hold = (bytes: Buffer): void => {
    const nowMs = clock.now();
    enter({ kind: 'bytes', bytes, arrivedMs: nowMs, dueMs: nowMs });
  };
  const onData = (bytes: Buffer): void => {
    if (isPlain()) pass(bytes);
    else hold(bytes);
  };
  const onEnd = (): void => enter({ kind: 'end', dueMs: clock.now() });
  const onDrain = (): void => {
    isBlocked = false;
    release();
  };

  source.on('data', onData);
  source.on('end', onEnd);
  sink.on('drain', onDrain);
  // A sink that is gone drains nothing any more, and swallows what it is given.
  sink.on('close', onDrain);
  steerSource();

  return {
    change(to) {
      ({ stages, isHeld } = to);
      if (to.releases) {
        lastDueMs = clock.now();
        queue = queue.slice(first).map((parcel) => notAfter(parcel, lastDueMs));
        first = 0;
      }
      release();
    },
    receive(bytes) {
      if (!isPlain()) {
        hold(Buffer.from(bytes));
        return false;
      }
      pass(bytes);
      // Nearly always the system has taken them by now.
      return sink.writableLength > 0;
    },
    carryReset: () => enter({ kind: 'reset', dueMs: clock.now() }),
    stop() {
      timer?.cancel();
      source.off('data', onData);
      source.off('end', onEnd);
      sink.off('drain', onDrain);
      sink.off('close', onDrain);
      queue = [];
      first = 0;
    },
  };
}
