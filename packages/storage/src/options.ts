import { isAbsolute, relative, resolve, sep } from 'node:path';
import { type FileSystem, nodeFileSystem } from '@holdfast/journal';
import {
  type Clock,
  InvalidOptionError,
  type Random,
  type OptionRule,
  callback,
  objectWith,
  integer,
  object,
  oneOf,
  optional,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import type { StorageBackend } from './backend.ts';
import { isStampName } from './object/write-stamp.ts';
import type {
  Conflict,
  ConflictResolution,
  ListCallOptions,
  CopyOptions,
  MoveOptions,
  Storage,
  UploadOptions,
  WriteOptions,
} from './storage.ts';

/**
 * The resolution of a conflict: a write waited, and another writer wrote the key meanwhile.
 *
 * - `latest-wins` (default): the younger of the two wins; each age is measured by the clock of the machine that
 *   took the write, so that clock skew does not matter. If ours loses, or the ages differ by less than a second,
 *   the result is that of `keep-both`.
 * - `keep-both`: theirs stays, ours is kept under `.conflicts/<key>.<operation>`.
 * - `remote-wins`: theirs stays, ours is dropped.
 * - `local-wins`: ours overwrites theirs.
 * - `refuse`: theirs stays; ours stays pending as refused, until it is discarded or superseded.
 */
export type ConflictPolicy = 'latest-wins' | 'keep-both' | 'remote-wins' | 'local-wins' | 'refuse';

/** Options of {@link createStorage}. All times in milliseconds, all sizes in bytes. */
export interface StorageOptions {
  /** The first is the primary; the others receive the same writes, and are read when it does not respond. */
  backends: readonly StorageBackend[];
  /** Where accepted writes are kept until every backend has them. */
  journal: StorageJournalOptions;
  /** Copies on this machine, for reads while no backend responds. Default: none. */
  local?: LocalOptions;
  /** How long an upload waits for the primary before it resolves with `queued`. Default 2 000; 0: not at all. */
  acknowledgeWithinMs?: number;
  /** Default 5 GiB. */
  maxObjectBytes?: number;
  /** Bodies up to this length are in the journal itself, longer ones in one file each. Default 64 KiB. */
  inlineBytes?: number;
  /** Memory for the bodies of pending writes; the rest is read from the journal. Default 64 MiB. */
  maxMemoryBytes?: number;
  /** Concurrent writes to one backend. Default 32. */
  maxConcurrent?: number;
  /** The same for large bodies. Default 2. */
  maxConcurrentLarge?: number;
  /** The circuit breaker of each backend. Defaults 3, 1 000, 30 000. */
  circuitBreaker?: {
    /** Failures in a row that open it. Default 3. */
    failureThreshold?: number;
    /** How long it is open at first. Default 1 000. */
    openDurationMs?: number;
    /** The longest. Default 30 000. */
    maxOpenDurationMs?: number;
  };
  /** Exponential backoff between the attempts of one key. Defaults 100 and 10 000. */
  retry?: {
    /** The first delay. Default 100. */
    initialDelayMs?: number;
    /** The longest. Default 10 000. */
    maxDelayMs?: number;
  };
  /** A backend that denies is probed once in this time. Default 60 000. */
  deniedProbeMs?: number;
  /** How long a server may still apply a write whose response was lost: over its statement timeout. Default 30 000. */
  lateWriteMs?: number;
  /** After this time, another writer may have superseded a waiting write. Default 5 000. */
  freshMs?: number;
  /** What happens when a backend has a newer object than a waiting write expects. Default `'latest-wins'`. */
  conflicts?:
    | ConflictPolicy
    | ((conflict: Conflict) => ConflictResolution | Promise<ConflictResolution>);
  /**
   * Downloads up to this length are verified before they are returned, longer ones while they are read;
   * objects up to this length have local copies. Default 8 MiB.
   */
  verifyWholeBytes?: number;
  /** A longer download, unread for this time, gives its connection back; read, it goes on from there. Default 5 000. */
  unreadBodyTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
  /** The file system. Default: that of Node. */
  files?: FileSystem;
}

/** Options of the journal of accepted writes. All times in milliseconds. */
export interface StorageJournalOptions {
  /** A directory for this storage alone, created when absent, not its parents; one process owns it at a time. */
  directory: string;
  /** When an accepted write is durable; see the journal. Default `'commit'`. */
  durability?: 'commit' | 'batch-ms' | 'os';
  /** The bodies of all pending writes, and of those before them that may still be applied late. Default 1 GiB. */
  maxBytes?: number;
  /** The number of those writes. Default 1 000 000. */
  maxPending?: number;
  /** The free disk space after a write. Default 64 MiB. */
  minFreeBytes?: number;
  /** The longest that its disk may not answer before writes are refused, in milliseconds. Default 5 000. */
  ioTimeoutMs?: number;
  /**
   * How long this process may be silent before a successor in another container or on another machine takes the
   * journal over, in milliseconds; a successor that sees its processes takes over at once. Default 5 000.
   */
  ownerStaleMs?: number;
  /** The size of one file of the journal. Default 16 MiB. */
  segmentBytes?: number;
}

/** Options of the local copies that are read while no backend answers. */
export interface LocalOptions {
  /** A directory for these copies alone, created when absent, not its parents; neither in `journal.directory` nor around it. */
  directory: string;
  /** Default 256 MiB; the least recently used copies are evicted first. */
  maxBytes?: number;
  /** Default 100 000. */
  maxEntries?: number;
}

const OWNER = 'createStorage';
const KIB = 1_024;
const MIB = 1_048_576;
const GIB = 1_073_741_824;
const DAY_MS = 86_400_000;
const MAX_METADATA_PAIRS = 32;
const MAX_METADATA_BYTES = 2_000;

const ms = (fallback: number, min = 1): OptionRule<number> =>
  integer({ min, max: DAY_MS, default: fallback });
const bytes = (fallback: number, min = 1): OptionRule<number> =>
  integer({ min, max: 64 * 1_024 * GIB, default: fallback });
const count = (fallback: number): OptionRule<number> =>
  integer({ min: 1, max: 100_000_000, default: fallback });

const policies = ['latest-wins', 'keep-both', 'remote-wins', 'local-wins', 'refuse'] as const;
const policyByName = oneOf<ConflictPolicy>(policies, 'latest-wins');
const policyByCall =
  callback<(conflict: Conflict) => ConflictResolution | Promise<ConflictResolution>>();

const shape = {
  backends: {
    permitted: '1 to 8 backends, each with a name of its own',
    parse(value, field, owner) {
      if (Array.isArray(value) && value.length > 0 && value.length <= 8 && value.every(isBackend)) {
        if (new Set(value.map(({ name }) => name)).size === value.length) return value;
      }
      throw new InvalidOptionError(owner, field, value, this.permitted);
    },
  } satisfies OptionRule<readonly StorageBackend[]>,
  journal: object({
    directory: string({ maxLength: 4_000 }),
    durability: oneOf(['commit', 'batch-ms', 'os'], 'commit'),
    maxBytes: bytes(GIB),
    maxPending: count(1_000_000),
    minFreeBytes: bytes(64 * MIB, 0),
    ioTimeoutMs: integer({ min: 10, max: 3_600_000, default: 5_000 }),
    ownerStaleMs: integer({ min: 20, max: DAY_MS, default: 5_000 }),
    segmentBytes: integer({ min: 2 * KIB, max: GIB, default: 16 * MIB }),
  }),
  local: optional(
    object({
      directory: string({ maxLength: 4_000 }),
      maxBytes: bytes(256 * MIB),
      maxEntries: count(100_000),
    }),
  ),
  acknowledgeWithinMs: ms(2_000, 0),
  maxObjectBytes: bytes(5 * GIB),
  inlineBytes: integer({ min: 0, max: 8 * MIB, default: 64 * KIB }),
  maxMemoryBytes: bytes(64 * MIB, 0),
  maxConcurrent: integer({ min: 1, max: 10_000, default: 32 }),
  maxConcurrentLarge: integer({ min: 1, max: 1_000, default: 2 }),
  circuitBreaker: object({
    failureThreshold: integer({ min: 1, max: 100_000, default: 3 }),
    openDurationMs: ms(1_000),
    maxOpenDurationMs: ms(30_000),
  }),
  retry: object({ initialDelayMs: ms(100), maxDelayMs: ms(10_000) }),
  deniedProbeMs: ms(60_000),
  lateWriteMs: ms(30_000),
  freshMs: ms(5_000, 0),
  conflicts: {
    permitted: `a function, or ${policyByName.permitted}`,
    parse: (value: unknown, field: string, owner: string) =>
      typeof value === 'function'
        ? policyByCall.parse(value, field, owner)
        : policyByName.parse(value, field, owner),
    defaultValue: () => 'latest-wins' as const,
  } satisfies OptionRule<NonNullable<StorageOptions['conflicts']>>,
  verifyWholeBytes: bytes(8 * MIB, 0),
  unreadBodyTimeoutMs: ms(5_000),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
  files: objectWith<FileSystem>(['open', 'list', 'rename', 'syncDirectory'], nodeFileSystem),
};

/** The options with every default filled in. */
export type ResolvedStorageOptions = Readonly<
  Required<Omit<StorageOptions, 'local' | 'journal' | 'circuitBreaker' | 'retry'>> & {
    journal: Readonly<Required<StorageJournalOptions>>;
    local: Readonly<Required<LocalOptions>> | undefined;
    circuitBreaker: Readonly<Required<NonNullable<StorageOptions['circuitBreaker']>>>;
    retry: Readonly<Required<NonNullable<StorageOptions['retry']>>>;
  }
>;

/** @throws InvalidOptionError */
export function parseStorageOptions(options: StorageOptions): ResolvedStorageOptions {
  const resolved = parseOptions(OWNER, shape, options);
  const { initialDelayMs, maxDelayMs } = resolved.retry;
  if (initialDelayMs > maxDelayMs) {
    const permitted = `at most maxDelayMs, ${maxDelayMs}`;
    throw new InvalidOptionError(OWNER, 'retry.initialDelayMs', initialDelayMs, permitted);
  }
  const { openDurationMs, maxOpenDurationMs } = resolved.circuitBreaker;
  if (openDurationMs > maxOpenDurationMs) {
    const permitted = `at most maxOpenDurationMs, ${maxOpenDurationMs}`;
    throw new InvalidOptionError(OWNER, 'circuitBreaker.openDurationMs', openDurationMs, permitted);
  }
  const { journal, local } = resolved;
  if (local !== undefined && overlap(journal.directory, local.directory)) {
    const permitted = `a directory outside of journal.directory, and not around it: ${journal.directory}`;
    throw new InvalidOptionError(OWNER, 'local.directory', local.directory, permitted);
  }
  for (const [index, { directory }] of resolved.backends.entries()) {
    for (const own of [journal.directory, local?.directory]) {
      if (directory === undefined || own === undefined || !overlap(own, directory)) continue;
      const permitted = `a directory outside of this storage's own, and not around it: ${own}`;
      throw new InvalidOptionError(OWNER, `backends[${index}]`, directory, permitted);
    }
  }
  return resolved;
}

/** Whether one directory is the other or lies in it; local copies may be removed, the journal never. */
function overlap(one: string, other: string): boolean {
  const isIn = (inner: string, outer: string): boolean => {
    const path = relative(resolve(outer), resolve(inner));
    return path === '' || !(path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path));
  };
  return isIn(one, other) || isIn(other, one);
}

const signal = optional(objectWith<AbortSignal>(['aborted', 'addEventListener']));
const acknowledgeWithinMs = optional(integer({ min: 0, max: DAY_MS }));

const metadata: OptionRule<Readonly<Record<string, string>>> = {
  permitted: `up to ${MAX_METADATA_PAIRS} strings, ${MAX_METADATA_BYTES} bytes together, with names of letters, digits and -`,
  parse(value, field, owner) {
    if (isMetadata(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => ({}),
};

const uploadShape = {
  signal,
  acknowledgeWithinMs,
  contentType: string({ maxLength: 255, default: 'application/octet-stream' }),
  maxAgeSeconds: integer({ min: 0, max: 31_536_000_000, default: 3_600 }),
  metadata,
};

type Resolved<Options, Optional extends keyof Options> = Readonly<
  Required<Omit<Options, Optional>> & { [Key in Optional]: Options[Key] | undefined }
>;
type ResolvedUploadOptions = Resolved<UploadOptions, 'signal' | 'acknowledgeWithinMs'>;

const plainUpload: ResolvedUploadOptions = parseOptions('upload', uploadShape, undefined);
const plainWrite = parseOptions('remove', { signal, acknowledgeWithinMs }, undefined);

const deadlineMs = integer({ min: 0, max: DAY_MS, default: 10_000 });

/** @throws InvalidOptionError */
export function parseFlushOptions(options: unknown): {
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
} {
  return parseOptions('flush', { deadlineMs, signal }, options);
}

/** @throws InvalidOptionError */
export function parseCloseDeadlineMs(options: unknown): number {
  return parseOptions('close', { deadlineMs }, options).deadlineMs;
}

/** @throws InvalidOptionError */
export function parseUploadOptions(options: UploadOptions | undefined): ResolvedUploadOptions {
  if (options === undefined) return plainUpload;
  const resolved = parseOptions('upload', uploadShape, options);
  ofHeader('upload', resolved.contentType);
  return resolved;
}

/** A line break in a header would end the header. @throws InvalidOptionError */
function ofHeader(call: string, contentType: string): string {
  if (!/[^\u0020-\u007e]/.test(contentType)) return contentType;
  throw new InvalidOptionError(call, 'contentType', contentType, 'printable ASCII');
}

/** @throws InvalidOptionError */
export function parseWriteOptions(
  owner: string,
  options: WriteOptions | undefined,
): Resolved<WriteOptions, 'signal' | 'acknowledgeWithinMs'> {
  if (options === undefined) return plainWrite;
  return parseOptions(owner, { signal, acknowledgeWithinMs }, options);
}

export type ResolvedCopyOptions = Resolved<
  MoveOptions,
  'signal' | 'acknowledgeWithinMs' | 'target'
> & {
  /** What the copy has instead of what its source has. */
  readonly attributes: Pick<CopyOptions, 'contentType' | 'maxAgeSeconds' | 'metadata'>;
};

/** @throws InvalidOptionError */
export function parseCopyOptions(
  call: 'copy' | 'move',
  options: CopyOptions | undefined,
): ResolvedCopyOptions {
  const target = optional(objectWith<Storage>(['upload', 'download', 'remove', 'move']));
  const moveShape = { signal, acknowledgeWithinMs, target };
  if (call === 'move') return { ...parseOptions(call, moveShape, options), attributes: {} };
  const copyShape = {
    ...moveShape,
    contentType: optional(uploadShape.contentType),
    maxAgeSeconds: optional(uploadShape.maxAgeSeconds),
    metadata: optional(metadata),
  };
  const {
    contentType,
    maxAgeSeconds,
    metadata: given,
    ...rest
  } = parseOptions(call, copyShape, options);
  const attributes = {
    ...(contentType !== undefined && { contentType: ofHeader(call, contentType) }),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
    ...(given !== undefined && { metadata: given }),
  };
  return { ...rest, attributes };
}

/** @throws InvalidOptionError */
export function parseListOptions(
  options: ListCallOptions | undefined,
): Resolved<ListCallOptions, 'signal' | 'cursor'> {
  const limit = integer({ min: 1, max: 1_000, default: 100 });
  const cursor = optional(string({ maxLength: 10_000 }));
  return parseOptions('list', { signal, limit, cursor }, options);
}

function isBackend(value: unknown): value is StorageBackend {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['name', 'bucket', 'put', 'get', 'head', 'remove', 'list', 'refuseKey'].every(
      (method) => method in value,
    )
  );
}

function isMetadata(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const pairs: [string, unknown][] = Object.entries(value);
  const length = pairs.reduce((sum, [name, held]) => sum + name.length + String(held).length, 0);
  return (
    pairs.length <= MAX_METADATA_PAIRS &&
    length <= MAX_METADATA_BYTES &&
    pairs.every(
      ([name, held]) =>
        /^[a-z\d-]{1,100}$/.test(name) &&
        !isStampName(name) &&
        typeof held === 'string' &&
        /^[\u0020-\u007e]*$/.test(held),
    )
  );
}
