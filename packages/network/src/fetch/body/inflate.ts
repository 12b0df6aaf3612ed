import {
  type BrotliDecompress,
  type Gunzip,
  type Inflate,
  type InflateRaw,
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';
import type { Transform } from 'node:stream';
import { propertyOf } from '@holdfast/foundation';
import { ZstdFrames } from './zstd-frames.ts';

/** What is wrong with a body. */
export type BodyDefect = 'truncated' | 'invalid' | 'too-large';

/** Takes a decoded body. */
export interface DecodedSink {
  /** Returns false to be given no more until {@link Inflater.resume}. */
  data(chunk: Uint8Array): boolean;
  end(): void;
  /** Called at most once, and nothing after it. */
  fail(defect: BodyDefect, cause: unknown): void;
}

type Decoder = (Gunzip | Inflate | InflateRaw | BrotliDecompress) & Transform;

/** Servers that apply more encodings to one body are not heard of; each costs a window of memory. */
const MAX_CODINGS = 5;
/** RFC 9659: the largest window that a server may use, 8 MiB; a larger one is refused. */
const ZSTD_WINDOW_LOG = 23;

const codings = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'zstd']);

/** What a client offers. */
export const ACCEPTED_ENCODINGS = 'gzip, deflate, br, zstd';

/**
 * The encodings of a body in the order in which they are to be undone; `undefined` for one that nobody here knows,
 * and which is therefore handed over as it is.
 */
export function parseCodings(header: string | null): readonly string[] | undefined {
  if (header === null) return [];
  const names = header
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity')
    .toReversed();
  return names.every((name) => codings.has(name)) ? names : undefined;
}

/**
 * Undoes one or more content encodings, and makes sure that each was whole: it must end where its bytes end. No stage
 * gives more than `maxBytes`.
 */
export class Inflater {
  readonly #sink: DecodedSink;
  readonly #maxBytes: number;
  readonly #stages: Stage[] = [];
  #isSettled = false;

  constructor(names: readonly string[], maxBytes: number, sink: DecodedSink) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
    if (names.length > MAX_CODINGS) {
      const cause = new Error(`${names.length} content encodings, where ${MAX_CODINGS} are known`);
      this.#fail('invalid', cause);
      return;
    }
    for (const name of names) this.#stages.push(this.#stageOf(name, this.#stages.length));
  }

  #stageOf(name: string, index: number): Stage {
    const next = (): Stage | undefined => this.#stages[index + 1];
    return new Stage(name, this.#maxBytes, {
      data: (chunk) => next()?.write(chunk) ?? this.#sink.data(chunk),
      end: () => {
        const following = next();
        if (following !== undefined) following.end();
        else if (!this.#isSettled) {
          this.#isSettled = true;
          this.#sink.end();
        }
      },
      fail: (defect, cause) => this.#fail(defect, cause),
      drain: () => {
        if (index === 0) this.onDrain();
        else this.#stages[index - 1]?.resume();
      },
    });
  }

  /** Set by the owner: the inflater takes bytes again. */
  onDrain: () => void = () => {};

  /** Returns false to be given no more until `onDrain`. */
  write(chunk: Uint8Array): boolean {
    return this.#isSettled || (this.#stages[0]?.write(chunk) ?? true);
  }

  end(): void {
    if (!this.#isSettled) this.#stages[0]?.end();
  }

  /** The sink takes chunks again. */
  resume(): void {
    this.#stages.at(-1)?.resume();
  }

  destroy(): void {
    this.#isSettled = true;
    for (const stage of this.#stages) stage.destroy();
  }

  #fail(defect: BodyDefect, cause: unknown): void {
    if (this.#isSettled) return;
    this.destroy();
    this.#sink.fail(defect, cause);
  }
}

interface StageSink extends DecodedSink {
  drain(): void;
}

/** One encoding. The decoder is made with the first byte, which tells the two forms of `deflate` apart. */
class Stage {
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #sink: StageSink;
  readonly #frames: ZstdFrames | undefined;
  #decoder: Decoder | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #hasInputEnded = false;
  #hasOutputEnded = false;
  #isDestroyed = false;

  constructor(name: string, maxBytes: number, sink: StageSink) {
    this.#name = name;
    this.#maxBytes = maxBytes;
    this.#sink = sink;
    this.#frames = name === 'zstd' ? new ZstdFrames() : undefined;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isDestroyed || chunk.byteLength === 0) return true;
    if (this.#hasOutputEnded) {
      this.#failTrailing();
      return true;
    }
    this.#bytesIn += chunk.byteLength;
    this.#frames?.push(chunk);
    this.#decoder ??= this.#open(chunk[0] ?? 0);
    return this.#decoder.write(chunk);
  }

  end(): void {
    this.#hasInputEnded = true;
    if (this.#isDestroyed) return;
    if (this.#decoder === undefined) {
      this.#sink.fail('truncated', new Error(`an empty body is not ${this.#name}`));
      return;
    }
    this.#decoder.end();
    if (this.#hasOutputEnded) this.#finish();
  }

  resume(): void {
    this.#decoder?.resume();
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#decoder?.destroy();
  }

  #open(firstByte: number): Decoder {
    const decoder = createDecoder(this.#name, firstByte);
    decoder.on('data', (chunk: Buffer) => {
      if (this.#isDestroyed) return;
      this.#bytesOut += chunk.byteLength;
      if (this.#bytesOut > this.#maxBytes) {
        this.#sink.fail('too-large', new Error(`more than ${this.#maxBytes} bytes inflated`));
      } else if (!this.#sink.data(chunk)) decoder.pause();
    });
    decoder.on('drain', () => this.#sink.drain());
    decoder.on('end', () => {
      this.#hasOutputEnded = true;
      if (this.#hasInputEnded) this.#finish();
    });
    decoder.on('error', (error: Error) => {
      const isCut = propertyOf(error, 'code') === 'Z_BUF_ERROR';
      this.#sink.fail(isCut ? 'truncated' : 'invalid', error);
    });
    return decoder;
  }

  #finish(): void {
    if (this.#isDestroyed) return;
    if (this.#frames !== undefined && !this.#frames.isWhole) {
      const isCut = this.#decoder?.bytesWritten === this.#bytesIn;
      if (isCut) this.#sink.fail('truncated', new Error('unexpected end of zstd frame'));
      else this.#failTrailing();
    } else if (this.#decoder?.bytesWritten === this.#bytesIn) this.#sink.end();
    else this.#failTrailing();
  }

  #failTrailing(): void {
    this.#sink.fail('invalid', new Error(`bytes after the end of ${this.#name}`));
  }
}

function createDecoder(name: string, firstByte: number): Decoder {
  switch (name) {
    case 'br':
      return createBrotliDecompress();
    case 'zstd':
      return createZstdDecompress({
        params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG },
      });
    case 'deflate':
      // RFC 9110 means zlib's format; some servers send the bare one, whose first byte cannot be 8 in its low half.
      return (firstByte & 0x0f) === 8 ? createInflate() : createInflateRaw();
    default:
      return createGunzip();
  }
}
