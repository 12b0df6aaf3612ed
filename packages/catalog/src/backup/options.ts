import { type FileSystem, nodeFileSystem } from '@holdfast/journal';
import {
  type Clock,
  type Random,
  callback,
  integer,
  objectWith,
  oneOf,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import { type Codec, DEFAULT_CODEC } from '../documents/codec.ts';

/** Options of {@link createBackup}. All times in milliseconds. */
export interface BackupOptions {
  /** For the backups of one catalog alone; made if its parent exists. */
  readonly directory: string;
  /** The number of whole backups that are kept. Default 2. */
  readonly keep?: number;
  /** What is compressed, checked and read at once: 64 to 256. Default 128. */
  readonly rowsPerFrame?: number;
  /** Default `zstd` where Node has it (22.15), otherwise `gzip`. */
  readonly codec?: Codec;
  /** The longest that one call to the disk may take. Default 5 000. */
  readonly ioTimeoutMs?: number;
  /** How long another machine's writer is watched before it counts as dead. Default 5 000. */
  readonly ownerStaleMs?: number;
  /** How long to wait for the right to write, when it is not certain that the other writer lives. Default 20 000. */
  readonly acquireTimeoutMs?: number;
  /** The file system. Default: that of Node. */
  readonly files?: FileSystem;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

const HOUR_MS = 3_600_000;

const schema = {
  directory: string({ maxLength: 4_096 }),
  keep: integer({ min: 1, max: 100, default: 2 }),
  rowsPerFrame: integer({ min: 64, max: 256, default: 128 }),
  codec: oneOf<Codec>(['zstd', 'gzip'], DEFAULT_CODEC),
  ioTimeoutMs: integer({ min: 10, max: HOUR_MS, default: 5_000 }),
  ownerStaleMs: integer({ min: 20, max: HOUR_MS, default: 5_000 }),
  acquireTimeoutMs: integer({ min: 0, max: HOUR_MS, default: 20_000 }),
  files: objectWith<FileSystem>(['open', 'list', 'rename', 'syncDirectory'], nodeFileSystem),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** The options with their defaults. */
export type ResolvedBackupOptions = Required<BackupOptions>;

/** @throws InvalidOptionError */
export function parseBackupOptions(given: BackupOptions): ResolvedBackupOptions {
  return parseOptions('createBackup', schema, given);
}

const count = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const owner = 'backup.write';

/** @throws InvalidOptionError for what would not be found again under its name. */
export function checkManifest(given: {
  readonly token: number;
  readonly generation: number;
  readonly rows: number;
}): void {
  for (const field of ['token', 'generation', 'rows'] as const) {
    count.parse(given[field], `manifest.${field}`, owner);
  }
}
