import { BackupCorruptError } from './errors.ts';

/** The rows of one table at the moment of the snapshot. */
export interface RowProof {
  /** Schema and name, quoted where SQL needs it. */
  readonly table: string;
  readonly rows: string;
  /** The sum of the hashes of all rows, whatever their order. */
  readonly sum: string;
}

/** One object of a set. */
interface Piece {
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** One file of a set, encrypted, in pieces. */
export interface Part {
  readonly name: 'keys.tar' | 'configuration.tar' | 'database.dump' | 'base.tar';
  /** Of what was encrypted. */
  readonly bytes: number;
  readonly sha256: string;
  readonly pieces: readonly Piece[];
}

/** What a set contains; it is encrypted like the set, so that nothing of it can be changed unseen. */
export interface Manifest {
  readonly format: 1;
  readonly setId: string;
  /** Of the wall clock: what was committed until then is in the set. */
  readonly snapshotAtMs: number;
  readonly parts: readonly Part[];
  readonly proofs: readonly RowProof[];
}

const MANIFEST = 'manifest.json.age';
const SET_ID = /^\d{8}T\d{9}Z-[\da-f]{8}$/;
const MAX_JSON = 64 * 1024 * 1024;

export const manifestKey = (setId: string): string => `${setId}/${MANIFEST}`;

/** The set of a manifest's key; `undefined` for any other key. */
export function setOfManifest(key: string): string | undefined {
  const [setId = '', file, ...more] = key.split('/');
  return SET_ID.test(setId) && file === MANIFEST && more.length === 0 ? setId : undefined;
}

/** The set that a key belongs to; `undefined` for what is no set's. */
export function setOfKey(key: string): string | undefined {
  const [setId = ''] = key.split('/');
  return SET_ID.test(setId) ? setId : undefined;
}

/** Ids sort by their time. */
export function newSetId(epochMs: number, random: Uint8Array): string {
  const time = new Date(epochMs).toISOString().replaceAll(/[-:.]/g, '');
  return `${time}-${Buffer.from(random).toString('hex')}`;
}

/** The time in an id. */
export function timeOfSet(setId: string): number {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z/.exec(setId);
  const [year = 0, month = 1, ...rest] = (parts ?? []).slice(1).map(Number);
  return Date.UTC(year, month - 1, ...rest);
}

export const encodeManifest = (manifest: Manifest): Uint8Array =>
  Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`);

/** @throws BackupCorruptError unless it is the manifest of this set. */
export function decodeManifest(setId: string, json: Buffer): Manifest {
  if (json.length > MAX_JSON) throw new BackupCorruptError(setId, 'its manifest is too long');
  let manifest: Manifest;
  try {
    manifest = JSON.parse(json.toString());
  } catch (error) {
    throw new BackupCorruptError(setId, 'its manifest is no JSON', error);
  }
  if (manifest.format !== 1) throw new BackupCorruptError(setId, 'its format is unknown');
  // Whoever moves the objects of one set to the folder of another mixes them.
  if (manifest.setId !== setId) {
    throw new BackupCorruptError(setId, `it has the manifest of ${manifest.setId}`);
  }
  return manifest;
}
