/**
 * Follows the frames of a Zstandard stream (RFC 8878) without decoding them, and says whether the stream has ended
 * where a frame ends: the decoder of Node before 24 takes any end for one.
 */
export class ZstdFrames {
  /** The bytes of the part that is read now, until there are as many as it needs. */
  readonly #part: number[] = [];
  #needed = 4;
  #skipped = 0;
  #state: 'magic' | 'descriptor' | 'header' | 'skippable' | 'block' = 'magic';
  #checksumBytes = 0;
  #isLast = false;
  #frames = 0;
  #isBroken = false;

  /** Whether all frames so far are whole, and there is at least one. */
  get isWhole(): boolean {
    const isBetween = this.#state === 'magic' && this.#part.length === 0 && this.#skipped === 0;
    return isBetween && this.#frames > 0 && !this.#isBroken;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.#isBroken) {
      if (this.#skipped > 0) {
        const skipped = Math.min(this.#skipped, chunk.length - at);
        this.#skipped -= skipped;
        at += skipped;
        continue;
      }
      this.#part.push(chunk[at] ?? 0);
      at += 1;
      if (this.#part.length === this.#needed) this.#readPart(Buffer.from(this.#part.splice(0)));
    }
  }

  #readPart(part: Buffer): void {
    switch (this.#state) {
      case 'magic': {
        const magic = part.readUInt32LE(0);
        if (magic === 0xfd_2f_b5_28) this.#expect('descriptor', 1);
        else if (magic >>> 4 === 0x1_84_d2_a5) this.#expect('skippable', 4);
        else this.#isBroken = true;
        return;
      }
      case 'skippable':
        this.#skipped = part.readUInt32LE(0);
        this.#endFrame();
        return;
      case 'descriptor':
        this.#readDescriptor(part.readUInt8(0));
        return;
      case 'header':
        this.#expect('block', 3);
        return;
      case 'block':
        this.#readBlockHeader(part.readUIntLE(0, 3));
    }
  }

  #readDescriptor(descriptor: number): void {
    const sizeFlag = descriptor >>> 6;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const sizeBytes = sizeFlag === 0 ? Number(isSingleSegment) : 1 << sizeFlag;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    this.#checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
    const headerBytes = sizeBytes + dictionaryBytes + Number(!isSingleSegment);
    if (headerBytes === 0) this.#expect('block', 3);
    else this.#expect('header', headerBytes);
  }

  #readBlockHeader(header: number): void {
    this.#isLast = (header & 1) === 1;
    const isRepeatedByte = ((header >>> 1) & 3) === 1;
    this.#skipped = isRepeatedByte ? 1 : header >>> 3;
    if (!this.#isLast) return;
    this.#skipped += this.#checksumBytes;
    this.#endFrame();
  }

  #endFrame(): void {
    this.#frames += 1;
    this.#expect('magic', 4);
  }

  #expect(state: 'magic' | 'descriptor' | 'header' | 'skippable' | 'block', bytes: number): void {
    this.#state = state;
    this.#needed = bytes;
  }
}
