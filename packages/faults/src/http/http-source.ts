import type { Socket } from 'node:net';
import { ChunkedScanner } from './chunked-scanner.ts';
import { type BodyFraming, type HttpHead, headEnd, mayBeHead, parseHead } from './http-head.ts';

/** Part of a body: the bytes as they were sent, and the content they carry. */
interface BodyPart {
  readonly bytes: Buffer;
  readonly content: readonly Buffer[];
}

/** A longer head is passed unread. */
const MAX_HEAD_BYTES = 262_144;
const NOTHING = Buffer.alloc(0);

/** Reads the bytes of a socket by heads and bodies: each byte once, in order, and no faster than they are asked for. */
export class HttpSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer = NOTHING;
  #isEnded = false;

  constructor(socket: Socket) {
    this.#chunks = socket.iterator({ destroyOnReturn: false });
  }

  /** Returns the next head, or undefined when the bytes that follow are none: then `rest` has them. */
  async head(of: 'request' | 'response'): Promise<HttpHead | undefined> {
    for (;;) {
      if (!mayBeHead(this.#held, of)) return undefined;
      const end = headEnd(this.#held);
      if (end !== undefined) return parseHead(this.#take(end));
      if (this.#held.length > MAX_HEAD_BYTES || !(await this.#readMore())) return undefined;
    }
  }

  /** Gives a head back, whose bytes `rest` returns first. */
  unread({ bytes }: HttpHead): void {
    this.#held = Buffer.concat([bytes, this.#held]);
  }

  async *body(framing: BodyFraming): AsyncGenerator<BodyPart, void> {
    if (framing.kind === 'length') yield* this.#bytes(framing.length);
    else if (framing.kind === 'chunked') yield* this.#chunked();
    else if (framing.kind === 'untilClose') yield* this.#bytes(Infinity);
  }

  /** Returns every byte up to the end. */
  async *rest(): AsyncGenerator<Buffer, void> {
    for await (const { bytes } of this.#bytes(Infinity)) yield bytes;
  }

  async *#bytes(length: number): AsyncGenerator<BodyPart, void> {
    let leftBytes = length;
    while (leftBytes > 0) {
      if (this.#held.length === 0 && !(await this.#readMore())) return;
      const bytes = this.#take(Math.min(leftBytes, this.#held.length));
      leftBytes -= bytes.length;
      if (bytes.length > 0) yield { bytes, content: [bytes] };
    }
  }

  async *#chunked(): AsyncGenerator<BodyPart, void> {
    const scanner = new ChunkedScanner();
    while (!scanner.isDone) {
      if (this.#held.length === 0 && !(await this.#readMore())) return;
      const content: Buffer[] = [];
      const used = scanner.scan(this.#held, (bytes) => void content.push(bytes));
      yield { bytes: this.#take(used), content };
    }
  }

  #take(length: number): Buffer {
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  /** Returns whether there was more. @throws the error of the socket */
  async #readMore(): Promise<boolean> {
    if (this.#isEnded) return false;
    const next = await this.#chunks.next();
    this.#isEnded = next.done === true;
    if (next.done === true) return false;
    this.#held = this.#held.length === 0 ? next.value : Buffer.concat([this.#held, next.value]);
    return true;
  }
}
