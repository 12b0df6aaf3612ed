import {
  hideCredentials,
  parseOptions,
  propertyOf,
  objectWith,
  string,
} from '@holdfast/foundation';
import type { BackupPlace } from './place.ts';

interface Answer<T> {
  readonly data: T | null;
  readonly error: unknown;
}

/** What is used of a bucket of supabase-js: `client.storage.from(bucket)`. */
export interface BackupBucket {
  upload(
    path: string,
    body: Uint8Array<ArrayBuffer>,
    options: { upsert: boolean; contentType: string },
  ): Promise<Answer<unknown>>;
  download(path: string): PromiseLike<Answer<Blob>>;
  list(
    path: string,
    options: { limit: number; offset: number },
  ): Promise<Answer<readonly { readonly name: string; readonly id: string | null }[]>>;
  remove(paths: string[]): Promise<Answer<unknown>>;
}

/** Options of {@link supabasePlace}. */
export interface SupabasePlaceOptions {
  /** `client.storage.from(bucket)` of supabase-js, whose fetch has a timeout of its own. */
  bucket: BackupBucket;
  /** Its name in reports. Default `supabase`. */
  name?: string;
}

const PAGE = 100;
const NOT_FOUND = new Set(['404', '400']);
const MAX_NAME = 100;
const schema = {
  bucket: objectWith<BackupBucket>(['upload', 'download', 'list', 'remove']),
  name: string({ maxLength: MAX_NAME, default: 'supabase' }),
};

/**
 * A bucket of Supabase Storage. Set `pieceBytes` below the bucket's limit of file sizes.
 *
 * @throws InvalidOptionError
 */
export function supabasePlace(options: SupabasePlaceOptions): BackupPlace {
  const { bucket, name } = parseOptions('supabasePlace', schema, options);
  const listFolder = async (folder: string): Promise<string[]> => {
    const keys: string[] = [];
    for (let offset = 0; ; offset += PAGE) {
      const page = valueOf(await bucket.list(folder, { limit: PAGE, offset })) ?? [];
      for (const { name: entry, id } of page) {
        const path = folder === '' ? entry : `${folder}/${entry}`;
        // Folders are no objects: they have no id.
        keys.push(...(id === null ? await listFolder(path) : [path]));
      }
      if (page.length < PAGE) return keys;
    }
  };
  return {
    name,
    async write(key, bytes, signal) {
      signal.throwIfAborted();
      const settings = { upsert: true, contentType: 'application/octet-stream' };
      valueOf(await bucket.upload(key, Uint8Array.from(bytes), settings));
    },
    async read(key, signal) {
      signal.throwIfAborted();
      const answer = await bucket.download(key);
      if (answer.error !== null && isNotFound(answer.error)) return undefined;
      const blob = valueOf(answer);
      return blob === null ? undefined : new Uint8Array(await blob.arrayBuffer());
    },
    async list(prefix, signal) {
      signal.throwIfAborted();
      const folder = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : '';
      return (await listFolder(folder)).filter((key) => key.startsWith(prefix));
    },
    async remove(keys, signal) {
      signal.throwIfAborted();
      if (keys.length > 0) valueOf(await bucket.remove([...keys]));
    },
  };
}

/** The value of an answer: supabase-js returns its errors. */
function valueOf<T>({ data, error }: Answer<T>): T | null {
  if (error === null || error === undefined) return data;
  throw new Error(hideCredentials(String(propertyOf(error, 'message'))), { cause: error });
}

function isNotFound(error: unknown): boolean {
  const inner = propertyOf(error, 'originalError');
  const status = propertyOf(error, 'statusCode') ?? propertyOf(error, 'status');
  return NOT_FOUND.has(String(status ?? propertyOf(inner, 'status')));
}
