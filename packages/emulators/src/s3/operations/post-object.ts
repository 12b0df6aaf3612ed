import { createHash } from 'node:crypto';
import { readBytes } from '../../serving/body.ts';
import type { HttpResponse } from '../../serving/http-listener.ts';
import { objectPath } from './objects.ts';
import { type S3Call, requirePermission, xmlResponse } from './s3-call.ts';
import { s3Error } from '../wire/error.ts';
import { verifyForm } from '../wire/signature.ts';
import type { StoredObject } from '../store.ts';

/** The limit of the form's fields beside the file. */
const FORM_BYTES = 1_048_576;

/** An upload by a form, as browsers send it with a policy that a server signed. */
export async function postObject(call: S3Call): Promise<HttpResponse> {
  const { request, store, limits, clock } = call;
  const form = await formOf(call);
  const fields = new Map<string, string>();
  let file: File | undefined;
  for (const [name, value] of form) {
    if (typeof value !== 'string') file ??= value;
    // Only the fields before the file count.
    else if (file === undefined) fields.set(name.toLowerCase(), value);
  }
  if (file === undefined)
    throw s3Error('InvalidArgument', 'POST requires exactly one file upload.');
  const key = fields.get('key')?.replaceAll('${filename}', file.name) ?? '';
  if (key === '') throw s3Error('InvalidArgument', 'Bucket POST must contain a field named key.');
  const accessKeyId = verifyForm(fields, call.verifier);
  const granted = {
    ...call,
    caller: { ...call.caller, accessKeyId },
    request: { ...request, key },
  };
  const posted = { bucket: request.bucket, key, size: file.size, nowMs: clock.epochMs() };
  // Without a policy it is an anonymous request, like any other.
  if (fields.has('policy')) assertPolicy(fields, posted);
  requirePermission(granted, 's3:PutObject', key);
  if (file.size > limits.maxStoredBytes - store.storedBytes) throw s3Error('InsufficientStorage');
  const bytes = new Uint8Array(await file.arrayBuffer());
  const md5 = createHash('md5').update(bytes).digest('hex');
  const { blob, size } = await store.blobs.write(oneChunk(bytes));
  const object: StoredObject = {
    headers: headersIn(fields, file.type),
    metadata: metadataIn(fields),
    etag: md5,
    size,
    modifiedMs: Math.trunc(clock.epochMs()),
    checksum: undefined,
    pieces: [{ blob, size }],
  };
  await store.replace(store.objects, objectPath(request.bucket, key), object);
  return responseTo(fields, request.bucket, key, md5);
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function formOf({ request, limits }: S3Call): Promise<FormData> {
  const max = limits.maxObjectBytes + FORM_BYTES;
  const body = await readBytes(request.body(), max, () => s3Error('EntityTooLarge'));
  const headers = { 'content-type': request.header('content-type') ?? '' };
  try {
    return await new Response(new Uint8Array(body), { headers }).formData();
  } catch {
    throw s3Error('MalformedPOSTRequest');
  }
}

interface PostedFile {
  readonly bucket: string;
  readonly key: string;
  readonly size: number;
  readonly nowMs: number;
}

/** Fields that no condition has to permit. */
const UNCONDITIONAL = new Set(['policy', 'x-amz-signature', 'file', 'awsaccesskeyid']);

/** @throws S3Error unless the signed policy permits the form */
function assertPolicy(fields: ReadonlyMap<string, string>, posted: PostedFile): void {
  const { expiration, conditions } = policyIn(fields.get('policy') ?? '');
  if (!(Date.parse(expiration) > posted.nowMs)) {
    throw s3Error('AccessDenied', 'Invalid according to Policy: Policy expired.');
  }
  const known = new Map([...fields, ['bucket', posted.bucket], ['key', posted.key]]);
  const named = new Set<string>();
  for (const [kind, name, value] of conditions) {
    const field = String(name).replace(/^\$/, '').toLowerCase();
    named.add(field);
    if (!holds(kind, kind === 'content-length-range' ? name : known.get(field), value, posted)) {
      const words = JSON.stringify([kind, name, value]);
      throw s3Error(
        'AccessDenied',
        `Invalid according to Policy: Policy Condition failed: ${words}`,
      );
    }
  }
  for (const field of fields.keys()) {
    if (named.has(field) || UNCONDITIONAL.has(field) || field.startsWith('x-ignore-')) continue;
    throw s3Error('AccessDenied', `Invalid according to Policy: Extra input fields: ${field}`);
  }
}

function holds(kind: string, found: unknown, wanted: unknown, { size }: PostedFile): boolean {
  if (kind === 'content-length-range') return size >= Number(found) && size <= Number(wanted);
  if (typeof found !== 'string' || typeof wanted !== 'string') return false;
  return kind === 'starts-with' ? found.startsWith(wanted) : found === wanted;
}

type Condition = readonly [kind: string, name: unknown, value: unknown];

/** @throws S3Error InvalidPolicyDocument */
function policyIn(encoded: string): { expiration: string; conditions: readonly Condition[] } {
  try {
    const value: unknown = JSON.parse(Buffer.from(encoded, 'base64').toString('utf8'));
    const policy = new Map<string, unknown>(Object.entries(Object(value)));
    const [expiration, conditions] = [policy.get('expiration'), policy.get('conditions')];
    if (typeof expiration === 'string' && Array.isArray(conditions)) {
      return { expiration, conditions: conditions.flatMap((each) => conditionsIn(each)) };
    }
  } catch {
    // Throws below.
  }
  throw s3Error('InvalidPolicyDocument');
}

/** `["starts-with", "$key", "a/"]`, or `{ "acl": "private" }`. */
function conditionsIn(given: unknown): Condition[] {
  if (!Array.isArray(given)) {
    return Object.entries(Object(given)).map(([name, value]) => ['eq', name, value]);
  }
  const [kind, name, value]: unknown[] = given;
  return [[String(kind), name, value]];
}

const KEPT = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'expires',
];

function headersIn(fields: ReadonlyMap<string, string>, type: string): Record<string, string> {
  const kept = KEPT.flatMap((name): [string, string][] => {
    const value = fields.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  return { ...(type !== '' && { 'content-type': type }), ...Object.fromEntries(kept) };
}

function metadataIn(fields: ReadonlyMap<string, string>): Record<string, string> {
  const prefix = 'x-amz-meta-';
  const own = [...fields].filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), value]));
}

function responseTo(
  fields: ReadonlyMap<string, string>,
  bucket: string,
  key: string,
  md5: string,
): HttpResponse {
  const etag = `"${md5}"`;
  const location = `/${bucket}/${encodeURIComponent(key)}`;
  const status = Number(fields.get('success_action_status') ?? 204);
  if (status !== 201) return { status: status === 200 ? 200 : 204, headers: { etag, location } };
  const response = xmlResponse(
    [
      'PostResponse',
      [
        ['Location', location],
        ['Bucket', bucket],
        ['Key', key],
        ['ETag', etag],
      ],
    ],
    { etag, location },
  );
  return { ...response, status };
}
