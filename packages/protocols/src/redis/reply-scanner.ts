import { ProtocolError } from '../protocol-error.ts';

/** A piece of a server's stream: part of one reply or of one push message. */
interface ReplySegment {
  readonly bytes: Buffer;
  /** False for a push message (`>`), which answers no command. */
  readonly isReply: boolean;
  /** True when this segment completes the reply or the push message. */
  readonly isLast: boolean;
}

const LF = 10;
const MAX_DEPTH = 128;
const MAX_LINE_CHARACTERS = 64;
const lines = new Set(['+', '-', ':', '_', '#', ',', '(']);
const bulks = new Set(['$', '=', '!']);
const lists = new Set(['*', '~', '>']);
const pairs = new Set(['%', '|']);

/** Finds where replies end in a server's stream (RESP2 and RESP3) without buffering them. */
export class ReplyScanner {
  #type: string | undefined;
  /** The line after the type, as far as it is needed as a number. */
  #line = '';
  /** The bytes of a bulk string that are still to come, its line end included. */
  #bulkBytes = 0;
  /** The open aggregates and how many elements each still needs. An attribute is not an element itself. */
  #open: { left: number; readonly isAttribute: boolean }[] = [];
  #isReply = true;

  /** @throws ProtocolError */
  scan(bytes: Buffer): ReplySegment[] {
    const segments: ReplySegment[] = [];
    let from = 0;
    let at = 0;
    let isWithin = this.#type !== undefined || this.#bulkBytes > 0 || this.#open.length > 0;
    while (at < bytes.length) {
      let isLast = false;
      if (this.#bulkBytes > 0) {
        const step = Math.min(this.#bulkBytes, bytes.length - at);
        at += step;
        this.#bulkBytes -= step;
        isLast = this.#bulkBytes === 0 && this.#completeElement();
      } else if (this.#type === undefined) {
        const type = String.fromCharCode(bytes[at] ?? 0);
        if (!isWithin) this.#isReply = type !== '>';
        isWithin = true;
        this.#begin(type);
        at += 1;
      } else {
        const end = bytes.indexOf(LF, at);
        if (!lines.has(this.#type)) this.#readLength(bytes, at, end);
        at = end === -1 ? bytes.length : end + 1;
        isLast = end !== -1 && this.#endLine();
      }
      if (isLast) {
        segments.push({ bytes: bytes.subarray(from, at), isReply: this.#isReply, isLast });
        from = at;
        isWithin = false;
        this.#open = [];
      }
    }
    if (from < at)
      segments.push({ bytes: bytes.subarray(from), isReply: this.#isReply, isLast: false });
    return segments;
  }

  #begin(type: string): void {
    if (!lines.has(type) && !bulks.has(type) && !lists.has(type) && !pairs.has(type))
      throw new ProtocolError('Redis', 'a reply of an unknown type');
    this.#type = type;
    this.#line = '';
  }

  #readLength(bytes: Buffer, at: number, end: number): void {
    this.#line += bytes.toString('latin1', at, end === -1 ? bytes.length : end);
    if (this.#line.length > MAX_LINE_CHARACTERS)
      throw new ProtocolError('Redis', 'a length without an end');
  }

  /** Returns whether the line completes the reply. */
  #endLine(): boolean {
    const type = this.#type ?? '';
    this.#type = undefined;
    if (lines.has(type)) return this.#completeElement();
    const number = Number(this.#line);
    if (!Number.isSafeInteger(number))
      throw new ProtocolError('Redis', 'a reply whose length is not a number');
    if (bulks.has(type)) {
      if (number < 0) return this.#completeElement();
      this.#bulkBytes = number + 2;
      return false;
    }
    const isAttribute = type === '|';
    const left = lists.has(type) ? number : number * 2;
    if (left <= 0) return isAttribute ? false : this.#completeElement();
    if (this.#open.length >= MAX_DEPTH)
      throw new ProtocolError('Redis', `a reply nested deeper than ${MAX_DEPTH}`);
    this.#open.push({ left, isAttribute });
    return false;
  }

  /** Counts a complete element and returns whether the reply is complete with it. */
  #completeElement(): boolean {
    while (true) {
      const inner = this.#open.at(-1);
      if (inner === undefined) return true;
      inner.left -= 1;
      if (inner.left > 0) return false;
      this.#open.pop();
      // The value that an attribute describes follows it.
      if (inner.isAttribute) return false;
    }
  }
}
