import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type OpenFile, writeAll } from '@holdfast/journal';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import { DOCUMENT_SCHEMA } from '../documents/chunk-header.ts';
import { documentOf, encodeDocuments } from '../documents/chunk.ts';
import type { Codec } from '../documents/codec.ts';
import { type FrameEntry, encodeFileHeader, encodeFooter } from './format.ts';

/** A frame ends before its rows are complete when it has this much JSON: what a writer and a reader hold. */
const FRAME_CHARACTERS = 1_048_576;

/** Writes a file from its first byte to its last, holding one frame. */
export class FrameWriter {
  readonly #file: OpenFile;
  readonly #options: { series: number; rowsPerFrame: number; codec: Codec; signal?: AbortSignal };
  readonly #hash = createHash('sha256');
  readonly #frames: FrameEntry[] = [];
  #documents: string[] = [];
  #characters = 0;
  #position = 0;
  rows = 0;

  constructor(
    file: OpenFile,
    options: { series: number; rowsPerFrame: number; codec: Codec; signal?: AbortSignal },
  ) {
    this.#file = file;
    this.#options = options;
  }

  async begin(): Promise<void> {
    await this.#write(encodeFileHeader(this.#options.series));
  }

  /** @throws CatalogDocumentError; what the file system throws */
  async add(bundles: readonly Bundle[]): Promise<void> {
    for (const bundle of bundles) {
      const document = documentOf(bundle);
      this.#documents.push(document);
      this.#characters += document.length;
      this.rows += 1;
      const isFull = this.#documents.length >= this.#options.rowsPerFrame;
      if (isFull || this.#characters >= FRAME_CHARACTERS) await this.#flush();
    }
  }

  /** Adds a frame of another file of this series, at the place that it has there. */
  async addFrame(frame: Buffer, rows: number): Promise<void> {
    this.rows += rows;
    await this.#append(frame, rows);
  }

  /** Writes the footer, and resolves with the length of the file when all of it is on the disk. */
  async end(manifest: GenerationManifest): Promise<number> {
    await this.#flush();
    const { series } = this.#options;
    const footer = encodeFooter({
      schema: DOCUMENT_SCHEMA,
      series,
      manifest,
      rows: this.rows,
      frames: this.#frames,
      sha256: this.#hash.digest('hex'),
    });
    await writeAll(this.#file, footer, this.#position);
    await this.#file.sync();
    return this.#position + footer.length;
  }

  async #flush(): Promise<void> {
    if (this.#documents.length === 0) return;
    const { series, codec, signal } = this.#options;
    const documents = this.#documents;
    this.#documents = [];
    this.#characters = 0;
    const place = { series, index: this.#frames.length, codec };
    const frame = await encodeDocuments(
      documents,
      signal === undefined ? place : { ...place, signal },
    );
    await this.#append(frame, documents.length);
  }

  async #append(frame: Buffer, rows: number): Promise<void> {
    this.#frames.push([this.#position, frame.length, rows, crc32(frame)]);
    await this.#write(frame);
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    await writeAll(this.#file, bytes, this.#position);
    this.#position += bytes.length;
  }
}
