import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { FileSystem } from '@holdfast/journal';
import type { WriteStamp } from '../backend.ts';
import { writeAtomically } from '../files/atomic-file.ts';

/**
 * The file, beside the journal, with a line for each of the directory's lives, the oldest first: its nonce and, once it
 * is over, the highest generation that the journal proves of it.
 */
const FILE = 'lives';
/** Writes of a life before these count as another writer's: conflicts are decided by their ages then. */
const MAX_LIVES = 1_000;
/** The lives that a history names: it is kept in the metadata of an object, of which S3 permits 2 kB. */
const MAX_HISTORY = 24;

/** Lives by their nonces, the oldest first, and the highest generation known of each. */
type LifeBounds = ReadonlyMap<string, number>;

/**
 * Tells the writes of this directory from those of its copies. A copy, restored or cloned, has the journal's identity
 * and repeats its generations; each life, that is each opening, has a nonce of its own, which is part of the ids of its
 * operations. A write under this identity by a life that the directory does not know is another writer's.
 */
export class WriterLives {
  /** The journal's identity. */
  readonly writerId: string;
  /** Identifies this life. */
  readonly nonce: string;
  readonly #earlier: LifeBounds;
  readonly #knownUpTo: number;

  /**
   * @param given.knownUpTo the highest generation in the journal when this life began.
   * @param given.earlier the lives that the directory has had. A copy of the directory was made while one of them went
   *   on, if there is a higher generation of it.
   */
  constructor(given: {
    writerId: string;
    nonce: string;
    earlier: LifeBounds;
    knownUpTo: number | undefined;
  }) {
    this.writerId = given.writerId;
    this.nonce = given.nonce;
    this.#earlier = given.earlier;
    this.#knownUpTo = given.knownUpTo ?? 0;
  }

  /** The id of an operation of this life. */
  operationId(generation: number): string {
    return `${this.writerId}-${this.nonce}-${generation.toString(36)}`;
  }

  /** Whether the operation was accepted in this life. */
  isOfThisLife({ id }: { readonly id: string }): boolean {
    return id.startsWith(`${this.writerId}-${this.nonce}-`);
  }

  /** Whether this directory made the write, in this life or one that it remembers. */
  isOwn(stamp: WriteStamp | undefined): boolean {
    if (stamp === undefined || !stamp.operationId.startsWith(`${this.writerId}-`)) return false;
    const [nonce, generation] = stamp.operationId.slice(this.writerId.length + 1).split('-');
    // Releases without nonces had only the generation.
    if (nonce === this.nonce || generation === undefined) return true;
    return nonce !== undefined && stamp.generation <= (this.#earlier.get(nonce) ?? -Infinity);
  }

  /** The latest lives of this directory up to a generation of this life, as another reads them. */
  history(generation: number): string {
    const lives = [...this.#earlier, [this.nonce, generation] as const];
    return lives.slice(-MAX_HISTORY).map(formatLife).join(',');
  }

  /**
   * Up to which generation the writes of this directory are those of the directory with this history, too: they are
   * copies of one directory. All of the earlier lives when that cannot be told.
   */
  sharedUpTo(history: string | undefined): number {
    const theirs = parseLives(history?.split(',') ?? []);
    const ours = [...this.#earlier, [this.nonce, Infinity] as const];
    for (const [nonce, generation] of ours.toReversed()) {
      const known = theirs.get(nonce);
      if (known !== undefined) return Math.min(known, generation, this.#knownUpTo);
    }
    return this.#knownUpTo;
  }
}

/**
 * Begins a life of the directory: its nonce is durable when this resolves.
 * @param knownUpTo the highest generation that the journal proves of the earlier lives.
 */
export async function beginLife(
  files: FileSystem,
  directory: string,
  knownUpTo: number | undefined,
): Promise<{ nonce: string; earlier: LifeBounds }> {
  const content = Buffer.from((await files.readWhole(join(directory, FILE))) ?? []);
  const found = [...parseLives(content.toString('latin1').split('\n'))].slice(-MAX_LIVES);
  const earlier = new Map(found);
  const [last] = found.at(-1) ?? [];
  if (last !== undefined && knownUpTo !== undefined) earlier.set(last, knownUpTo);
  const nonce = randomBytes(8).toString('hex');
  const text = Buffer.from([...[...earlier].map(formatLife), nonce].join('\n'));
  const names = { temporary: `${FILE}.part`, syncs: true };
  await writeAtomically(files, directory, FILE, [text], names);
  return { nonce, earlier };
}

function formatLife([nonce, generation]: readonly [string, number]): string {
  return generation === Infinity ? nonce : `${nonce}.${generation.toString(36)}`;
}

/** A file that is damaged tells of fewer lives, whose writes then count as another writer's. */
function parseLives(lines: readonly string[]): LifeBounds {
  const lives = new Map<string, number>();
  for (const line of lines) {
    const [, nonce, generation] = /^([0-9a-f]{16})(?:\.([0-9a-z]{1,11}))?$/.exec(line) ?? [];
    if (nonce === undefined) continue;
    lives.set(nonce, generation === undefined ? Infinity : Number.parseInt(generation, 36));
  }
  return lives;
}
