import { createHash } from 'node:crypto';
import { encryptAge } from './age.ts';
import { chunksOf } from './chunks.ts';
import { BackupPlacesError } from './errors.ts';
import { type Manifest, type Part, encodeManifest, manifestKey } from './manifest.ts';
import { type PlaceCalls, callPlace, describeFailure } from './place-calls.ts';
import type { BackupPlace } from './places/place.ts';

/** What a set is written with. */
interface SetWriterDeps extends PlaceCalls {
  readonly places: readonly BackupPlace[];
  readonly minPlaces: number;
  readonly recipients: readonly string[];
  readonly pieceBytes: number;
}

const INDEX_DIGITS = 5;

/** The key of one piece. */
export const pieceKey = (setId: string, name: Part['name'], index: number): string =>
  `${setId}/${name}.age.${String(index).padStart(INDEX_DIGITS, '0')}`;

/** Writes one set to all places. A place that fails gets nothing more, and the others go on. */
export class SetWriter {
  readonly #setId: string;
  readonly #deps: SetWriterDeps;
  readonly #written: string[] = [];
  readonly #failures: Record<string, string> = {};
  #places: readonly BackupPlace[];
  #bytes = 0;

  constructor(setId: string, deps: SetWriterDeps) {
    this.#setId = setId;
    this.#deps = deps;
    this.#places = deps.places;
  }

  get failures(): Readonly<Record<string, string>> {
    return this.#failures;
  }

  /** Of all pieces in one place. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes, reads and removes a small object, so that a place that does not take one is known before any work. */
  async probe(): Promise<void> {
    const key = `${this.#setId}/probe`;
    const bytes = Buffer.from(this.#setId);
    await this.#each(async (place, signal) => {
      await place.write(key, bytes, signal);
      const found = await place.read(key, signal);
      if (found === undefined || !bytes.equals(found)) throw new Error('it lost what it was given');
      await place.remove([key], signal);
    });
  }

  /** Encrypts a part and writes its pieces, one after the other, each to all places at once. */
  async writePart(name: Part['name'], source: AsyncIterable<Uint8Array>): Promise<Part> {
    const { recipients, pieceBytes, signal } = this.#deps;
    const whole = createHash('sha256');
    let bytes = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of source) {
        signal?.throwIfAborted();
        whole.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    };
    const pieces: Part['pieces'][number][] = [];
    for await (const { chunk } of chunksOf(encryptAge(recipients, counted()), pieceBytes)) {
      const key = pieceKey(this.#setId, name, pieces.length);
      await this.#write(key, chunk);
      const sha256 = createHash('sha256').update(chunk).digest('hex');
      pieces.push({ key, bytes: chunk.length, sha256 });
    }
    return { name, bytes, sha256: whole.digest('hex'), pieces };
  }

  /** Written last: a set without it does not count. */
  async writeManifest(manifest: Manifest): Promise<void> {
    const { recipients } = this.#deps;
    const encrypted: Buffer[] = [];
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield encodeManifest(manifest);
    };
    for await (const chunk of encryptAge(recipients, source())) encrypted.push(chunk);
    await this.#write(manifestKey(this.#setId), Buffer.concat(encrypted));
  }

  /** Removes what was written of a set that will not be whole. */
  async discard(): Promise<void> {
    const calls = { ...this.#deps, signal: undefined };
    await Promise.allSettled(
      this.#deps.places.map(async (place) =>
        callPlace(calls, place, async (signal) => place.remove(this.#written, signal)),
      ),
    );
  }

  async #write(key: string, bytes: Uint8Array): Promise<void> {
    this.#written.push(key);
    this.#bytes += bytes.length;
    await this.#each(async (place, signal) => place.write(key, bytes, signal));
  }

  async #each(call: (place: BackupPlace, signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal, minPlaces } = this.#deps;
    await Promise.all(
      this.#places.map(async (place) => {
        try {
          await callPlace(this.#deps, place, async (inner) => call(place, inner));
        } catch (error) {
          signal?.throwIfAborted();
          this.#failures[place.name] = describeFailure(error);
        }
      }),
    );
    this.#places = this.#places.filter(({ name }) => this.#failures[name] === undefined);
    if (this.#places.length >= minPlaces) return;
    const what = `${this.#places.length} places take the backup, and ${minPlaces} must`;
    throw new BackupPlacesError(what, this.#failures);
  }
}
