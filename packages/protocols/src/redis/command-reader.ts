import { ProtocolError } from '../protocol-error.ts';

/** One command of a client, whole. */
export interface RedisCommand {
  readonly bytes: Buffer;
  /** In lower case; empty for a line or array without a word, which is not answered. */
  readonly name: string;
  readonly args: readonly Buffer[];
}

export interface CommandReader {
  /** The commands that are complete with these bytes, in their order. @throws ProtocolError */
  read(bytes: Buffer): RedisCommand[];
  /** What was read of a command that is not complete. */
  rest(): Buffer;
}

const CR = 13;
const LF = 10;
const ASTERISK = 42;
const DOLLAR = 36;

/**
 * Cuts a client's stream into commands (RESP: arrays of bulk strings, or lines), wherever its packets end.
 * @param maxCommandBytes a longer command is no command.
 */
export function createCommandReader(maxCommandBytes: number): CommandReader {
  let held: Buffer[] = [];
  let heldBytes = 0;
  /** As many bytes have to be there before another look is worth it. */
  let wantedBytes = 0;
  const whole = (): Buffer => {
    const [first = Buffer.alloc(0)] = held;
    return held.length <= 1 ? first : Buffer.concat(held);
  };
  return {
    read(bytes) {
      held.push(bytes);
      heldBytes += bytes.length;
      if (heldBytes > maxCommandBytes)
        throw new ProtocolError('Redis', `a longer command than ${maxCommandBytes} bytes`);
      if (heldBytes < wantedBytes) return [];
      const all = whole();
      const commands: RedisCommand[] = [];
      let at = 0;
      wantedBytes = 0;
      while (at < all.length) {
        const found = commandAt(all, at);
        if (typeof found === 'number') {
          wantedBytes = found - at;
          break;
        }
        commands.push(found);
        at += found.bytes.length;
      }
      held = at < all.length ? [all.subarray(at)] : [];
      heldBytes = all.length - at;
      return commands;
    },
    rest: whole,
  };
}

/** The command that begins at `from`, or where at least the bytes must end for it to be whole. */
function commandAt(bytes: Buffer, from: number): RedisCommand | number {
  const lineEnd = bytes.indexOf(LF, from);
  if (lineEnd === -1) return bytes.length + 1;
  if (bytes[from] !== ASTERISK) {
    const words = bytes.toString('latin1', from, lineEnd).trim().split(/\s+/);
    const [name = '', ...rest] = words;
    const args = rest.map((word) => Buffer.from(word, 'latin1'));
    return { bytes: bytes.subarray(from, lineEnd + 1), name: name.toLowerCase(), args };
  }
  const words: Buffer[] = [];
  const count = numberIn(bytes, from + 1, lineEnd);
  let at = lineEnd + 1;
  for (let index = 0; index < count; index += 1) {
    const headEnd = bytes.indexOf(LF, at);
    if (headEnd === -1) return bytes.length + 1;
    if (bytes[at] !== DOLLAR)
      throw new ProtocolError('Redis', 'a command whose words are not bulk strings');
    const end = headEnd + 1 + numberIn(bytes, at + 1, headEnd);
    if (bytes.length < end + 2) return end + 2;
    words.push(bytes.subarray(headEnd + 1, end));
    at = end + 2;
  }
  const [name, ...args] = words;
  return {
    bytes: bytes.subarray(from, at),
    name: name === undefined ? '' : name.toString('latin1').toLowerCase(),
    args,
  };
}

/** @param end where the line's LF is. */
function numberIn(bytes: Buffer, start: number, end: number): number {
  const digits = bytes.toString('latin1', start, bytes[end - 1] === CR ? end - 1 : end);
  if (!/^\d{1,10}$/.test(digits)) throw new ProtocolError('Redis', 'a length that is no number');
  return Number(digits);
}
