import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  isHoldfastError,
  objectWith,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { checkIdentities, decryptAge } from './age.ts';
import { checkPlaces, listSets, placesSchema } from './create-backups.ts';
import { BackupCorruptError, BackupKeyError, BackupNotFoundError } from './errors.ts';
import { type Manifest, type Part, decodeManifest, manifestKey } from './manifest.ts';
import { type PlaceCalls, callPlace, describeFailure } from './place-calls.ts';
import type { BackupPlace } from './places/place.ts';
import type { StartProgram } from './programs.ts';
import { type RestoreReport, type RestoreTarget, restoreParts } from './restore.ts';
import { pieceKey } from './set-writer.ts';

/** Options of {@link verifyBackup}. */
export interface VerifyBackupOptions {
  /** Where sets are kept. */
  places: readonly BackupPlace[];
  /** Who decrypts them: identities of age (`AGE-SECRET-KEY-1...`). */
  identities: readonly string[];
  /** The set. Default: the newest. */
  setId?: string;
  /** Where the encrypted parts wait for the restore, with room for the set. Default: the system's temporary folder. */
  stagingDirectory?: string;
  /** How long a place may take for one call, of three attempts, in milliseconds. Default 60 000. */
  placeTimeoutMs?: number;
  /** How the programs of Postgres are started. Default: as processes of this machine, found in PATH. */
  start?: StartProgram;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** Ends the verification with its reason. */
  signal?: AbortSignal;
}

/** A set of which every byte is proven: the only thing that can be restored. */
export interface VerifiedBackup extends AsyncDisposable {
  readonly setId: string;
  readonly snapshotAtMs: number;
  /** Objects that one place had lost or changed, and another had. Take a new backup. */
  readonly damaged: readonly { readonly place: string; readonly key: string }[];
  /**
   * Restores keys, configuration and database, in this order, to where nothing is yet.
   *
   * @throws BackupTargetError if something is there; nothing was restored.
   * @throws BackupProofError if the rows are not those of the snapshot.
   */
  restore(
    target: RestoreTarget,
    options?: { readonly signal?: AbortSignal },
  ): Promise<RestoreReport>;
  /** Removes the staged parts. */
  close(): Promise<void>;
}

const MAX_PATH = 4_096;
const schema = {
  ...placesSchema,
  places: objectWith<readonly BackupPlace[]>([]),
  identities: objectWith<readonly string[]>([]),
  setId: optional(string({ maxLength: 64 })),
  stagingDirectory: optional(string({ maxLength: MAX_PATH })),
  signal: optional(objectWith<AbortSignal>(['throwIfAborted'])),
};

interface Verification extends PlaceCalls {
  readonly identities: readonly string[];
  /** Those that have a manifest of the set. */
  readonly places: readonly BackupPlace[];
  readonly setId: string;
  readonly damaged: { readonly place: string; readonly key: string }[];
  readonly directory: string;
}

/**
 * Fetches a set and proves all of it: digests of all pieces, the seals of all chunks, the digest of each part. An
 * object that one place has lost or changed is read from another.
 *
 * @throws BackupCorruptError, BackupKeyError, BackupNotFoundError, BackupPlacesError, InvalidOptionError
 */
export async function verifyBackup(options: VerifyBackupOptions): Promise<VerifiedBackup> {
  const resolved = parseOptions('verifyBackup', schema, options);
  checkPlaces('verifyBackup', resolved.places);
  checkIdentities(resolved.identities);
  const { sets } = await listSets(resolved);
  const chosen =
    resolved.setId === undefined ? sets[0] : sets.find(({ setId }) => setId === resolved.setId);
  if (chosen === undefined) throw new BackupNotFoundError(resolved.setId);
  const { setId } = chosen;
  const directory = join(resolved.stagingDirectory ?? tmpdir(), `holdfast-restore-${randomUUID()}`);
  const places = resolved.places;
  const verification = { ...resolved, places, setId, directory, damaged: [] };
  const close = async (): Promise<void> => rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    const manifest = await readManifest(verification);
    for (const part of manifest.parts) await provePart(verification, part);
    return verifiedOf(verification, manifest, resolved.start, close);
  } catch (error) {
    await close();
    throw error;
  }
}

function verifiedOf(
  { setId, damaged, directory, identities, clock }: Verification,
  manifest: Manifest,
  start: StartProgram,
  close: () => Promise<void>,
): VerifiedBackup {
  const openPart = (name: Part['name']): AsyncIterable<Uint8Array> =>
    decryptAge(identities, createReadStream(join(directory, name)));
  return {
    setId,
    damaged,
    snapshotAtMs: manifest.snapshotAtMs,
    restore: async (target, call) =>
      restoreParts({ manifest, openPart, start, clock, signal: call?.signal }, target),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The manifest of the first place that has it as it was written. */
async function readManifest(verification: Verification): Promise<Manifest> {
  const { places, setId, identities, damaged } = verification;
  const key = manifestKey(setId);
  let failure: unknown;
  for (const place of places) {
    try {
      const bytes = await callPlace(verification, place, async (signal) => place.read(key, signal));
      if (bytes === undefined) throw new BackupCorruptError(setId, `${key} is missing`);
      const decrypted: Buffer[] = [];
      for await (const chunk of decryptAge(identities, once(bytes))) decrypted.push(chunk);
      return decodeManifest(setId, Buffer.concat(decrypted));
    } catch (error) {
      verification.signal?.throwIfAborted();
      failure = error;
      damaged.push({ place: place.name, key });
    }
  }
  if (failure instanceof BackupKeyError || failure instanceof BackupCorruptError) throw failure;
  throw new BackupCorruptError(setId, `its manifest: ${describeFailure(failure)}`, failure);
}

/** Stages a part whose pieces all have their digests, and then decrypts it once: only what is whole passes. */
async function provePart(verification: Verification, part: Part): Promise<void> {
  const { setId, identities, directory } = verification;
  const path = join(directory, part.name);
  const file = await open(path, 'wx', 0o600);
  try {
    for (const [index, piece] of part.pieces.entries()) {
      if (piece.key !== pieceKey(setId, part.name, index)) {
        throw new BackupCorruptError(setId, `${piece.key} is out of order`);
      }
      await file.writeFile(await readPiece(verification, piece));
    }
  } finally {
    await file.close();
  }
  const whole = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of decryptAge(identities, createReadStream(path))) {
      verification.signal?.throwIfAborted();
      whole.update(chunk);
      bytes += chunk.length;
    }
  } catch (error) {
    if (isHoldfastError(error) || verification.signal?.aborted === true) throw error;
    throw new BackupCorruptError(setId, `${part.name} is not sealed as it was`, error);
  }
  if (bytes !== part.bytes || whole.digest('hex') !== part.sha256) {
    throw new BackupCorruptError(setId, `${part.name} has another digest`);
  }
}

async function readPiece(
  verification: Verification,
  piece: Part['pieces'][number],
): Promise<Uint8Array> {
  const { places, setId, damaged } = verification;
  const { key } = piece;
  let reason = 'is missing';
  for (const place of places) {
    try {
      const bytes = await callPlace(verification, place, async (signal) => place.read(key, signal));
      const digest = bytes === undefined ? '' : createHash('sha256').update(bytes).digest('hex');
      if (bytes !== undefined && digest === piece.sha256) return bytes;
      if (bytes !== undefined) reason = 'has another digest';
    } catch (error) {
      verification.signal?.throwIfAborted();
      reason = `cannot be read: ${describeFailure(error)}`;
    }
    damaged.push({ place: place.name, key });
  }
  throw new BackupCorruptError(setId, `${key} ${reason}`);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
