/** All keys of a catalog, in one slot of a cluster. */
export class GenerationKeys {
  /** Before the attempt in the key of each chunk; the scripts make such keys too. */
  readonly chunks: string;
  /** The published generation. */
  readonly current: string;
  /** The highest generation and token seen; it stays when the pointer expires. */
  readonly fence: string;
  /** The attempts that are not published, and how many chunks each may have. */
  readonly staged: string;
  readonly #damaged: string;

  constructor(prefix: string) {
    const base = `{${prefix}}:`;
    this.chunks = `${base}g:`;
    this.current = `${base}current`;
    this.fence = `${base}fence`;
    this.staged = `${base}staged`;
    this.#damaged = `${base}damaged:`;
  }

  chunk(attempt: string, index: number): string {
    return `${this.chunks}${attempt}:c:${index}`;
  }

  /** Where a damaged chunk is kept for people to look at. */
  damagedChunk(attempt: string, index: number): string {
    return `${this.#damaged}${attempt}:c:${index}`;
  }
}
