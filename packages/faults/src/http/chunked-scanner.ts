/** A longer size or trailer line is not HTTP. */
const MAX_LINE_BYTES = 16_384;
const LF = 10;

/** Finds the end of a chunked body, and its content, in bytes as they arrive. */
export class ChunkedScanner {
  #state: 'size' | 'content' | 'contentEnd' | 'trailers' | 'done' | 'malformed' = 'size';
  #line = '';
  #leftBytes = 0;

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** Its end cannot be known: everything that follows belongs to it. */
  get isMalformed(): boolean {
    return this.#state === 'malformed';
  }

  /** @param onContent gets the content of the chunks. @returns how many of the bytes belong to the body. */
  scan(bytes: Buffer, onContent: (content: Buffer) => void): number {
    let at = 0;
    while (at < bytes.length && !this.isDone) {
      if (this.#state === 'malformed') return bytes.length;
      if (this.#state === 'content') {
        const content = bytes.subarray(at, at + this.#leftBytes);
        onContent(content);
        at += content.length;
        this.#leftBytes -= content.length;
        if (this.#leftBytes === 0) this.#state = 'contentEnd';
      } else {
        at = this.#readLine(bytes, at);
      }
    }
    return at;
  }

  #readLine(bytes: Buffer, from: number): number {
    const lineEnd = bytes.indexOf(LF, from);
    this.#line += bytes.toString('latin1', from, lineEnd === -1 ? bytes.length : lineEnd);
    if (this.#line.length > MAX_LINE_BYTES) this.#state = 'malformed';
    if (lineEnd === -1) return bytes.length;
    const line = this.#line.replace(/\r$/, '');
    this.#line = '';
    this.#endLine(line);
    return lineEnd + 1;
  }

  #endLine(line: string): void {
    if (this.#state === 'contentEnd') {
      this.#state = line === '' ? 'size' : 'malformed';
    } else if (this.#state === 'trailers') {
      if (line === '') this.#state = 'done';
    } else if (this.#state === 'size') {
      const size = /^\s*([0-9A-Fa-f]{1,12})\s*(?:;|$)/.exec(line)?.[1];
      this.#leftBytes = Number.parseInt(size ?? '', 16);
      if (size === undefined) this.#state = 'malformed';
      else this.#state = this.#leftBytes === 0 ? 'trailers' : 'content';
    }
  }
}
