import { InvalidOptionError, hideValue } from '@holdfast/foundation';
import { NotSupportedError } from './result.ts';

/** Why an option is not supported with this value; `undefined` when it is. */
type Rule = (value: unknown) => readonly [reason: string, remedy: string] | undefined;

/** The calls with options, and the parts of their options. */
type RuledCall =
  | 'upload'
  | 'download'
  | 'fetch'
  | 'info'
  | 'list'
  | 'listV2'
  | 'move'
  | 'copy'
  | 'copy metadata';

const honored: Rule = () => undefined;

const ON_SUPABASE = 'use supabase-js itself for it';

function refused(reason: string, remedy: string = ON_SUPABASE): Rule {
  return () => [reason, remedy];
}

function refusedUnless(permitted: (value: unknown) => boolean, reason: string): Rule {
  return (value) => (permitted(value) ? undefined : [reason, ON_SUPABASE]);
}

const versionId = refused('it knows only the current version of an object');
const listed: Readonly<Record<string, Rule>> = {
  limit: honored,
  sortBy: honored,
  noncurrentVersions: refusedUnless((value) => value === 'exclude', 'it lists current versions'),
  deleteMarkers: refusedUnless((value) => value === 'exclude', 'it lists objects, no markers'),
  exactMatch: refusedUnless((value) => value === false, 'it lists by a prefix'),
};

/** Every option of every call, and whether it is honored. What is not in the table is no option. */
const rules: Readonly<Record<RuledCall, Readonly<Record<string, Rule>>>> = {
  upload: {
    cacheControl: honored,
    contentType: honored,
    contentEncoding: refused('it keeps no content encoding', 'upload the bytes as they are read'),
    upsert: honored,
    // Streams are read whatever it says.
    duplex: honored,
    metadata: honored,
    headers: refusedUnless(isEmptyObject, 'headers of one request do not outlast an outage'),
  },
  download: {
    transform: honored,
    // Every read is compared with the current checksum of the object, so that a cached answer does not pass.
    cacheNonce: honored,
    versionId,
  },
  fetch: {
    signal: honored,
    cache: refusedUnless(
      (value) => value !== 'force-cache' && value !== 'only-if-cached',
      'it reads from no HTTP cache',
    ),
  },
  info: { versionId },
  list: { ...listed, offset: honored, search: honored },
  listV2: { ...listed, prefix: honored, cursor: honored, with_delimiter: honored },
  move: { destinationBucket: honored, upsert: honored, sourceVersionId: versionId },
  copy: {
    destinationBucket: honored,
    upsert: honored,
    sourceVersionId: versionId,
    copyMetadata: honored,
    metadata: honored,
  },
  'copy metadata': {
    cacheControl: honored,
    mimetype: honored,
    contentEncoding: refused('it keeps no content encoding'),
  },
};

/**
 * Checks the options of a call; options that are `undefined` count as absent.
 * @throws NotSupportedError for an option that is not supported, InvalidOptionError for an unknown one
 */
export function readOptions<Options extends object>(
  call: RuledCall,
  given: Options | undefined,
): Partial<Options> {
  const table = rules[call];
  const read: Partial<Options> = {};
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === undefined) continue;
    const rule = Object.hasOwn(table, name) ? table[name] : undefined;
    if (rule === undefined) {
      throw new InvalidOptionError(
        call,
        name,
        hideValue(value),
        `one of ${Object.keys(table).join(', ')}`,
      );
    }
    const refusal = rule(value);
    if (refusal !== undefined) throw new NotSupportedError(`${call} with ${name}`, ...refusal);
    Object.assign(read, { [name]: value });
  }
  return read;
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/**
 * A key as supabase-js sends it: without slashes at its ends, and with one slash where there were several.
 * Anything but a string is left to the storage to refuse.
 */
export function keyOf(path: string): string {
  if (typeof path !== 'string') return path;
  return path
    .replaceAll(/\/{2,}/g, '/')
    .replace(/^\//, '')
    .replace(/\/$/, '');
}

/** @throws InvalidOptionError */
export function secondsOf(cacheControl: unknown): number {
  const seconds = cacheControl === '' ? Number.NaN : Number(cacheControl);
  if (Number.isSafeInteger(seconds) && seconds >= 0) return seconds;
  throw new InvalidOptionError(
    'upload',
    'cacheControl',
    cacheControl,
    'a number of seconds from 0',
  );
}
