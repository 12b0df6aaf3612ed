import { randomBytes } from 'node:crypto';
import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  callback,
  boolean,
  integer,
  object,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import { checkRecipients } from './age.ts';
import { packDirectory } from './directories.ts';
import { BackupPlacesError } from './errors.ts';
import { type Part, type RowProof, newSetId, setOfKey, setOfManifest } from './manifest.ts';
import { type PlaceCalls, callPlace, describeFailure } from './place-calls.ts';
import type { BackupPlace } from './places/place.ts';
import { connectionEnvironment } from './postgres/connection.ts';
import { copyServer, dumpDatabase } from './postgres/dump.ts';
import { type StartProgram, startProgram } from './programs.ts';
import { type RetentionOptions, expiredSets, retentionSchema } from './retention.ts';
import { SetWriter } from './set-writer.ts';

/** Options of {@link createBackups}. */
export interface BackupsOptions {
  /** Where sets are kept: several, of different kinds. */
  places: readonly BackupPlace[];
  /** Who can decrypt them: recipients of age (`age1...`). The service itself need not be able to. */
  recipients: readonly string[];
  /** The database, as a URL. `pg_dump` must be of its version or later. */
  databaseUrl: string;
  /** The directory of the configuration. Default: none. */
  configurationDirectory?: string;
  /** The directory of the keys. Default: none. */
  keysDirectory?: string;
  /** Whether a copy of the whole server is taken, too, for recovery to a point in time. Default false. */
  wholeServer?: boolean;
  /** How many places must have a set for it to count. Default 1. */
  minPlaces?: number;
  /** The size of the objects in the places, in bytes; each is held in memory. Default 32 MiB. */
  pieceBytes?: number;
  /** How long a place may take for one call, of three attempts, in milliseconds. Default 60 000. */
  placeTimeoutMs?: number;
  /** How long a backup may take, in milliseconds. Default six hours. */
  timeoutMs?: number;
  /** What `prune` keeps. */
  retention?: RetentionOptions;
  /** How the programs of Postgres are started. Default: as processes of this machine, found in PATH. */
  start?: StartProgram;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** One set that was stored. */
export interface BackupReport {
  readonly setId: string;
  /** What was committed until then is in the set. Of the database's clock. */
  readonly snapshotAtMs: number;
  /** The bytes in each place. */
  readonly bytes: number;
  readonly tables: number;
  readonly tookMs: number;
  /** What the places that do not have it have answered, by name. */
  readonly failures: Readonly<Record<string, string>>;
}

/** Takes backups, each of them one set of database, configuration and keys. */
export interface Backups {
  /**
   * Takes a backup and stores it in all places that work.
   *
   * @throws BackupPlacesError if fewer than `minPlaces` take it; nothing of it is left then.
   * @throws BackupSourceError, BackupProgramError
   */
  backup(options?: { readonly signal?: AbortSignal }): Promise<BackupReport>;
  /** The ids of all complete sets, the newest first, and which places have each. */
  list(options?: {
    readonly signal?: AbortSignal;
  }): Promise<readonly { readonly setId: string; readonly places: readonly string[] }[]>;
  /**
   * Removes the sets that no rule keeps, and what is left of those that were never complete. Places that fail are
   * left for the next time.
   *
   * @returns the ids of the removed sets.
   */
  prune(options?: { readonly signal?: AbortSignal }): Promise<readonly string[]>;
}

const DAY_MS = 86_400_000;
const MAX_PATH = 4_096;
const MAX_PLACES = 16;
const MIN_PIECE = 1_024;
const MAX_PIECE = 256 * 1024 * 1024;
const ID_BYTES = 4;

/** How places are called, wherever they are. */
export const placesSchema: {
  readonly placeTimeoutMs: OptionRule<number>;
  readonly start: OptionRule<StartProgram>;
  readonly clock: OptionRule<Clock>;
} = {
  placeTimeoutMs: integer({ min: 1, max: DAY_MS, default: 60_000 }),
  start: callback<StartProgram>(startProgram),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const schema = {
  ...placesSchema,
  places: objectWith<readonly BackupPlace[]>([]),
  recipients: objectWith<readonly string[]>([]),
  databaseUrl: string({ maxLength: MAX_PATH }),
  configurationDirectory: optional(string({ maxLength: MAX_PATH })),
  keysDirectory: optional(string({ maxLength: MAX_PATH })),
  wholeServer: boolean(false),
  minPlaces: integer({ min: 1, max: MAX_PLACES, default: 1 }),
  pieceBytes: integer({ min: MIN_PIECE, max: MAX_PIECE, default: 33_554_432 }),
  timeoutMs: integer({ min: 1, max: DAY_MS, default: 21_600_000 }),
  retention: object(retentionSchema),
};

/**
 * Backups of a service.
 *
 * @throws InvalidOptionError
 */
export function createBackups(options: BackupsOptions): Backups {
  const resolved = parseOptions('createBackups', schema, options);
  checkPlaces('createBackups', resolved.places);
  const { minPlaces, places, databaseUrl } = resolved;
  if (minPlaces > places.length) {
    const permitted = `at most the number of places (${places.length})`;
    throw new InvalidOptionError('createBackups', 'minPlaces', minPlaces, permitted);
  }
  connectionEnvironment(databaseUrl);
  return {
    backup: async (call) => takeBackup(resolved, call?.signal),
    list: async (call) => {
      const { sets } = await listSets({ ...resolved, signal: call?.signal });
      return sets;
    },
    prune: async (call) => prune(resolved, call?.signal),
  };
}

type Resolved = ReturnType<typeof parseOptions<typeof schema>>;

/** @throws InvalidOptionError unless there are places, with names of their own. */
export function checkPlaces(owner: string, places: readonly BackupPlace[]): void {
  const names = new Set(places.map(({ name }) => name));
  if (!Array.isArray(places) || places.length === 0 || names.size !== places.length) {
    const permitted = `1 to ${MAX_PLACES} places, each with a name of its own`;
    throw new InvalidOptionError(owner, 'places', places, permitted);
  }
}

async function takeBackup(
  options: Resolved,
  given: AbortSignal | undefined,
): Promise<BackupReport> {
  const { clock, recipients, databaseUrl, start, timeoutMs } = options;
  const beganMs = clock.now();
  const ending = new AbortController();
  const timer = clock.schedule(timeoutMs, () =>
    ending.abort(new BackupPlacesError(`the backup has not ended in ${timeoutMs} ms`, {})),
  );
  const signals = given === undefined ? [ending.signal] : [ending.signal, given];
  const signal = AbortSignal.any(signals);
  const setId = newSetId(clock.epochMs(), randomBytes(ID_BYTES));
  const writer = new SetWriter(setId, { ...options, signal });
  try {
    await checkRecipients(recipients);
    await writer.probe();
    const parts: Part[] = [];
    const directories = [
      ['keys.tar', options.keysDirectory],
      ['configuration.tar', options.configurationDirectory],
    ] as const;
    for (const [name, directory] of directories) {
      if (directory === undefined) continue;
      parts.push(await writer.writePart(name, await packDirectory(directory, signal)));
    }
    if (options.wholeServer) {
      await copyServer(databaseUrl, start, signal, async (copy) => {
        parts.push(await writer.writePart('base.tar', copy));
      });
    }
    const { proofs, snapshotAtMs } = await dumpDatabase(
      databaseUrl,
      start,
      signal,
      async (dump) => {
        parts.push(await writer.writePart('database.dump', dump));
      },
    );
    await writer.writeManifest({ format: 1, setId, snapshotAtMs, parts, proofs });
    return reportOf(setId, snapshotAtMs, proofs, writer, clock.now() - beganMs);
  } catch (error) {
    // pg_dump, if it runs, reads for nobody.
    ending.abort(error);
    await writer.discard();
    throw error;
  } finally {
    timer.cancel();
  }
}

function reportOf(
  setId: string,
  snapshotAtMs: number,
  proofs: readonly RowProof[],
  { bytes, failures }: SetWriter,
  tookMs: number,
): BackupReport {
  return { setId, snapshotAtMs, bytes, tables: proofs.length, tookMs, failures };
}

/** What a listing of all places finds. */
interface SetListing {
  /** The complete sets, the newest first. */
  readonly sets: readonly { readonly setId: string; readonly places: readonly string[] }[];
  /** All keys of each place that has answered. */
  readonly keys: ReadonlyMap<BackupPlace, readonly string[]>;
}

/** @throws BackupPlacesError if no place answers. */
export async function listSets(
  calls: PlaceCalls & { readonly places: readonly BackupPlace[] },
): Promise<SetListing> {
  const failures: Record<string, string> = {};
  const keys = new Map<BackupPlace, readonly string[]>();
  await Promise.all(
    calls.places.map(async (place) => {
      try {
        keys.set(place, await callPlace(calls, place, async (signal) => place.list('', signal)));
      } catch (error) {
        calls.signal?.throwIfAborted();
        failures[place.name] = describeFailure(error);
      }
    }),
  );
  if (keys.size === 0) throw new BackupPlacesError('no place answers', failures);
  const placesOf = new Map<string, string[]>();
  for (const [place, found] of keys) {
    for (const key of found) {
      const setId = setOfManifest(key);
      if (setId !== undefined) placesOf.set(setId, [...(placesOf.get(setId) ?? []), place.name]);
    }
  }
  const sets = [...placesOf].map(([setId, places]) => ({ setId, places }));
  return { sets: sets.toSorted((a, b) => (a.setId < b.setId ? 1 : -1)), keys };
}

async function prune(options: Resolved, signal: AbortSignal | undefined): Promise<string[]> {
  const calls = { ...options, signal };
  const { sets, keys } = await listSets(calls);
  const complete = sets.map(({ setId }) => setId);
  const [newest = ''] = complete;
  const expired = new Set(expiredSets(complete, options.retention));
  for (const [place, found] of keys) {
    const removed = found.filter((key) => {
      const setId = setOfKey(key);
      if (setId === undefined) return false;
      // What is older than the newest complete set and has no manifest will never be complete.
      return expired.has(setId) || (setId < newest && !complete.includes(setId));
    });
    // The manifest first: a set that is half removed is not complete.
    const ordered = removed.toSorted((a, b) => rank(a) - rank(b));
    try {
      await callPlace(calls, place, async (inner) => place.remove(ordered, inner));
    } catch {
      signal?.throwIfAborted();
    }
  }
  return [...expired];
}

const rank = (key: string): number => (setOfManifest(key) === undefined ? 1 : 0);
