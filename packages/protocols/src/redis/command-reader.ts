import { ProtocolError } from '../protocol-error.ts';

/** One complete command of a client. */
export interface RedisCommand {
  readonly bytes: Buffer;
  /** In lower case; empty for an empty line or array, which the server does not answer. */
  readonly name: string;
  readonly args: readonly Buffer[];
}

const CR = 13;
const LF = 10;
const ASTERISK = 42;
const DOLLAR = 36;

/** Cuts a client's stream into commands (RESP arrays of bulk strings, or inline commands). */
export class CommandReader {
  readonly #maxCommandBytes: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** The next command is incomplete until this many bytes are held. */
  #neededBytes = 0;

  /** @param maxCommandBytes a longer command is a protocol error. */
  constructor(maxCommandBytes: number) {
    this.#maxCommandBytes = maxCommandBytes;
  }

  /** Returns the commands that these bytes complete, in order. @throws ProtocolError */
  read(bytes: Buffer): RedisCommand[] {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > this.#maxCommandBytes)
      throw new ProtocolError('Redis', `a command longer than ${this.#maxCommandBytes} bytes`);
    if (this.#heldBytes < this.#neededBytes) return [];
    const all = this.rest();
    const commands: RedisCommand[] = [];
    let at = 0;
    this.#neededBytes = 0;
    while (at < all.length) {
      const found = commandAt(all, at);
      if (typeof found === 'number') {
        this.#neededBytes = found - at;
        break;
      }
      commands.push(found);
      at += found.bytes.length;
    }
    this.#held = at < all.length ? [all.subarray(at)] : [];
    this.#heldBytes = all.length - at;
    return commands;
  }

  /** Returns the bytes of the incomplete command. */
  rest(): Buffer {
    const [first = Buffer.alloc(0)] = this.#held;
    return this.#held.length <= 1 ? first : Buffer.concat(this.#held);
  }
}

/** Returns the command that begins at `from`, or the least offset at which it can be complete. */
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

/** @param end the offset of the line's LF. */
function numberIn(bytes: Buffer, start: number, end: number): number {
  const digits = bytes.toString('latin1', start, bytes[end - 1] === CR ? end - 1 : end);
  if (!/^\d{1,10}$/.test(digits)) throw new ProtocolError('Redis', 'a length that is not a number');
  return Number(digits);
}
