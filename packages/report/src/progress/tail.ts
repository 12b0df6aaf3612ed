import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

const CHUNK_BYTES = 64 * 1024;

/** Reads the lines that processes append to the files of a folder, each line once and only when it is complete. */
export class FolderTail {
  readonly #directory: string;
  readonly #read = new Map<string, number>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The lines since the last call, by file; none when the folder is gone. */
  next(): { file: string; line: string }[] {
    try {
      return readdirSync(this.#directory)
        .toSorted()
        .flatMap((file) => this.#linesOf(file).map((line) => ({ file, line })));
    } catch {
      return [];
    }
  }

  #linesOf(name: string): string[] {
    const from = this.#read.get(name) ?? 0;
    const text = readFrom(join(this.#directory, name), from);
    const whole = text.subarray(0, text.lastIndexOf(0x0a) + 1);
    this.#read.set(name, from + whole.length);
    return whole
      .toString()
      .split('\n')
      .filter((line) => line !== '');
  }
}

function readFrom(path: string, from: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const pieces: Buffer[] = [];
    for (let at = from; ;) {
      const piece = Buffer.alloc(CHUNK_BYTES);
      const length = readSync(file, piece, 0, CHUNK_BYTES, at);
      if (length === 0) return Buffer.concat(pieces);
      pieces.push(piece.subarray(0, length));
      at += length;
    }
  } finally {
    closeSync(file);
  }
}
