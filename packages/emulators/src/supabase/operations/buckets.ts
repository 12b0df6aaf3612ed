import type { HttpResponse } from '../../serving/http-listener.ts';
import {
  type StorageCall,
  bucketOf,
  fieldsOf,
  isoTime,
  jsonResponse,
  requirePermission,
  canRead,
  textIn,
} from './storage-call.ts';
import { assertValidBucket } from './key-rules.ts';
import { supabaseError } from '../error.ts';
import type { SupabaseBucket } from '../store.ts';

/** The row of a bucket itself, which matches policies without a key prefix. */
const bucketRow = { key: '', absent: 'NoSuchBucket' } as const;

export async function createBucket(call: StorageCall): Promise<HttpResponse> {
  const fields = await fieldsOf(call);
  const name = textIn(fields, 'name');
  requirePermission(call, 'insert', { ...bucketRow, bucket: name });
  assertValidBucket(name);
  const { store, clock } = call;
  const now = Math.trunc(clock.epochMs());
  const bucket = { createdMs: now, updatedMs: now, ...termsOf(fields, call) };
  if (store.buckets.get(name) !== undefined) throw supabaseError('BucketAlreadyExists');
  store.buckets.set(name, bucket);
  return jsonResponse({ name });
}

export async function updateBucket(call: StorageCall): Promise<HttpResponse> {
  const { store, clock, bucket: name } = call;
  requirePermission(call, 'update', bucketRow);
  const fields = await fieldsOf(call);
  const updatedMs = Math.trunc(clock.epochMs());
  const before = bucketOf(call, name);
  const terms = termsOf(fields, call, before);
  store.buckets.set(name, { ...before, ...terms, updatedMs });
  return jsonResponse({ message: 'Successfully updated' });
}

export async function listBuckets(call: StorageCall): Promise<HttpResponse> {
  const { store } = call;
  const seen = store.buckets.keys().filter((name) => canRead(call, name, ''));
  return jsonResponse(seen.map((name) => shown(name, bucketOf(call, name))));
}

export async function getBucket(call: StorageCall): Promise<HttpResponse> {
  requirePermission(call, 'select', bucketRow);
  return jsonResponse(shown(call.bucket, bucketOf(call, call.bucket)));
}

export async function deleteBucket(call: StorageCall): Promise<HttpResponse> {
  const { store, bucket } = call;
  requirePermission(call, 'delete', bucketRow);
  bucketOf(call, bucket);
  if (store.objects.keys().some((path) => path.startsWith(`${bucket}/`))) {
    throw supabaseError('ResourceNotEmpty');
  }
  store.buckets.delete(bucket);
  return jsonResponse({ message: 'Successfully deleted' });
}

export async function emptyBucket(call: StorageCall): Promise<HttpResponse> {
  const { store, bucket } = call;
  requirePermission(call, 'delete', bucketRow);
  bucketOf(call, bucket);
  const paths = store.objects.keys().filter((path) => path.startsWith(`${bucket}/`));
  for (const path of paths) await store.replace(path, undefined);
  return jsonResponse({
    message: 'Empty bucket has been queued. Completion may take up to an hour.',
  });
}

type Terms = Pick<SupabaseBucket, 'isPublic' | 'fileSizeLimit' | 'allowedMimeTypes'>;

/** The limits of a bucket. An absent field keeps its value, and null removes a limit. */
function termsOf(
  fields: Readonly<Record<string, unknown>>,
  { options }: StorageCall,
  before: Terms = { isPublic: false, fileSizeLimit: undefined, allowedMimeTypes: undefined },
): Terms {
  const { public: isPublic, file_size_limit: limit, allowed_mime_types: types } = fields;
  const fileSizeLimit = limit === undefined ? before.fileSizeLimit : bytesIn(limit);
  if ((fileSizeLimit ?? 0) > options.maxObjectBytes) throw supabaseError('EntityTooLarge');
  return {
    isPublic: typeof isPublic === 'boolean' ? isPublic : before.isPublic,
    fileSizeLimit,
    allowedMimeTypes: types === undefined ? before.allowedMimeTypes : typesIn(types),
  };
}

const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9 };

function bytesIn(limit: unknown): number | undefined {
  if (limit === null) return undefined;
  if (typeof limit === 'number') return Math.trunc(limit);
  const [, count, unit = ''] =
    /^(\d+(?:\.\d+)?)(gb|mb|kb|b)$/i.exec(typeof limit === 'string' ? limit : '') ?? [];
  const factor = UNITS[unit.toUpperCase()];
  if (count === undefined || factor === undefined) {
    throw supabaseError(
      'InvalidRequest',
      [
        'be integer',
        'pass "finite" keyword validation',
        'match pattern "^[0-9]+(?:\\.[0-9]+)?(?:[gG][bB]|[mM][bB]|[kK][bB]|[bB])$"',
        'match a schema in anyOf',
      ]
        .map((rule) => `body/file_size_limit must ${rule}`)
        .join(', '),
    );
  }
  return Math.trunc(Number(count) * factor);
}

const MIME_TYPE = /^(?:\*|[\w.+-]+\/(?:\*|[\w.+-]+))$/;

function typesIn(types: unknown): readonly string[] | undefined {
  if (types === null) return undefined;
  const listed = (Array.isArray(types) ? types : [types]).map(String);
  const invalid = listed.find((type) => !MIME_TYPE.test(type));
  if (invalid === undefined) return listed;
  throw supabaseError('InvalidMimeType', `mime type ${invalid} is not supported`);
}

function shown(name: string, bucket: SupabaseBucket): Readonly<Record<string, unknown>> {
  return {
    id: name,
    name,
    owner: '',
    public: bucket.isPublic,
    file_size_limit: bucket.fileSizeLimit ?? null,
    allowed_mime_types: bucket.allowedMimeTypes ?? null,
    created_at: isoTime(bucket.createdMs),
    updated_at: isoTime(bucket.updatedMs),
  };
}
