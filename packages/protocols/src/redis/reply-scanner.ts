import { ProtocolError } from '../protocol-error.ts';

/** A piece of what a server sent: part of one reply, or of what it sends unasked. */
export interface ReplySegment {
  readonly bytes: Buffer;
  /** False for pushes (`>`), which answer no command. */
  readonly isReply: boolean;
  /** With it the reply, or the push, is complete. */
  readonly isLast: boolean;
}

const MAX_DEPTH = 128;
const MAX_LINE_CHARACTERS = 64;
const lines = new Set(['+', '-', ':', '_', '#', ',', '(']);
const bulks = new Set(['$', '=', '!']);
const lists = new Set(['*', '~', '>']);

/** Finds where replies end in a server's stream (RESP2 and RESP3), without keeping any of it. */
export function createReplyScanner(): (bytes: Buffer) => ReplySegment[] {
  let type: string | undefined;
  /** The line after the type, while it is needed as a number. */
  let line = '';
  /** Bytes of a bulk string that are still to come, its line end included. */
  let skipBytes = 0;
  /** The aggregates around: how many elements each still waits for. An attribute's own are no element. */
  let around: { left: number; readonly isAttribute: boolean }[] = [];
  let isReply = true;

  /** An element is complete. Whether the reply is. */
  const completed = (): boolean => {
    while (true) {
      const inner = around.at(-1);
      if (inner === undefined) return true;
      inner.left -= 1;
      if (inner.left > 0) return false;
      around.pop();
      // What it describes is still to come.
      if (inner.isAttribute) return false;
    }
  };

  const lineEnded = (): boolean => {
    const ended = type ?? '';
    type = undefined;
    if (lines.has(ended)) return completed();
    const number = Number(line);
    if (!Number.isSafeInteger(number))
      throw new ProtocolError('Redis', 'a reply whose length is no number');
    if (bulks.has(ended)) {
      if (number < 0) return completed();
      skipBytes = number + 2;
      return false;
    }
    const isAttribute = ended === '|';
    const left = lists.has(ended) ? number : number * 2;
    if (left <= 0) return isAttribute ? false : completed();
    if (around.length >= MAX_DEPTH)
      throw new ProtocolError('Redis', `a reply nested deeper than ${MAX_DEPTH}`);
    around.push({ left, isAttribute });
    return false;
  };

  const begin = (found: string): void => {
    if (
      !lines.has(found) &&
      !bulks.has(found) &&
      !lists.has(found) &&
      found !== '%' &&
      found !== '|'
    ) {
      throw new ProtocolError('Redis', 'a reply of an unknown type');
    }
    type = found;
    line = '';
  };

  return (bytes) => {
    const segments: ReplySegment[] = [];
    let from = 0;
    let at = 0;
    let isWithin = type !== undefined || skipBytes > 0 || around.length > 0;
    while (at < bytes.length) {
      let isLast = false;
      if (skipBytes > 0) {
        const step = Math.min(skipBytes, bytes.length - at);
        at += step;
        skipBytes -= step;
        isLast = skipBytes === 0 && completed();
      } else if (type === undefined) {
        const found = String.fromCharCode(bytes[at] ?? 0);
        if (!isWithin) isReply = found !== '>';
        isWithin = true;
        begin(found);
        at += 1;
      } else {
        const end = bytes.indexOf(10, at);
        if (!lines.has(type)) {
          line += bytes.toString('latin1', at, end === -1 ? bytes.length : end);
          if (line.length > MAX_LINE_CHARACTERS)
            throw new ProtocolError('Redis', 'a length without an end');
        }
        at = end === -1 ? bytes.length : end + 1;
        isLast = end !== -1 && lineEnded();
      }
      if (isLast) {
        segments.push({ bytes: bytes.subarray(from, at), isReply, isLast });
        from = at;
        isWithin = false;
        around = [];
      }
    }
    if (from < at) segments.push({ bytes: bytes.subarray(from), isReply, isLast: false });
    return segments;
  };
}
