import type { HttpResponse } from '../../serving/http-listener.ts';
import { ROLES, type StorageRole } from '../access.ts';
import {
  type StorageCall,
  bucketOf,
  fieldsOf,
  isUpsert,
  jsonResponse,
  missingField,
  requirePermission,
  canRead,
} from './storage-call.ts';
import { type Claims, signToken, verifyToken } from '../jwt.ts';
import { objectOf, bodyResponse } from './download.ts';
import { supabaseError } from '../error.ts';
import { pathOf, permitUpload, receive } from './upload.ts';

export async function signDownload(call: StorageCall): Promise<HttpResponse> {
  const seconds = secondsIn(await fieldsOf(call));
  requirePermission(call, 'select');
  bucketOf(call, call.bucket);
  objectOf(call, call.key);
  return jsonResponse({ signedURL: signedPath(call, call.key, seconds) });
}

export async function signDownloads(call: StorageCall): Promise<HttpResponse> {
  const fields = await fieldsOf(call);
  const seconds = secondsIn(fields);
  const { paths } = fields;
  if (!Array.isArray(paths)) throw missingField('paths');
  const { store, bucket } = call;
  const absent = 'Either the object does not exist or you do not have access to it';
  return jsonResponse(
    paths.map(String).map((path) => {
      const isThere =
        store.objects.get(pathOf(bucket, path)) !== undefined && canRead(call, bucket, path);
      return isThere
        ? { path, error: null, signedURL: signedPath(call, path, seconds) }
        : { path, error: absent, signedURL: null };
    }),
  );
}

export async function downloadSigned(call: StorageCall): Promise<HttpResponse> {
  claimsOf(call, call.query.get('token'));
  return bodyResponse(call);
}

export async function signUpload(call: StorageCall): Promise<HttpResponse> {
  const { bucket, key, role, clock, options } = call;
  const upsert = isUpsert(call);
  permitUpload(call, upsert);
  const exp = Math.floor((clock.epochMs() + options.signedUploadExpiryMs) / 1_000);
  const token = signToken({ url: pathOf(bucket, key), upsert, role, exp }, options.jwtSecret);
  return jsonResponse({ url: `/object/upload/sign/${bucket}/${key}?token=${token}`, token });
}

export async function uploadSigned(call: StorageCall): Promise<HttpResponse> {
  const { upsert, call: granted } = callGrantedBy(call, call.query.get('token'));
  await receive(granted, upsert);
  return jsonResponse({ Key: pathOf(call.bucket, call.key) });
}

/** The call under a signed token: an upload runs in the role that signed the token. */
export function callGrantedBy(
  call: StorageCall,
  token: string | null | undefined,
): { readonly upsert: boolean; readonly call: StorageCall } {
  const claims = claimsOf(call, token);
  const role: StorageRole = ROLES.find((known) => known === claims['role']) ?? 'anon';
  return { upsert: claims['upsert'] === true, call: { ...call, role } };
}

/** @throws SupabaseError unless this server signed the token for the object and it has not expired. */
function claimsOf(
  { options, clock, bucket, key }: StorageCall,
  token: string | null | undefined,
): Claims {
  if (token === null || token === undefined)
    throw supabaseError('InvalidSignature', 'Missing token');
  const claims = verifyToken(token, options.jwtSecret, clock.epochMs());
  if (typeof claims === 'string') throw supabaseError('InvalidJWT', claims);
  if (claims['url'] !== pathOf(bucket, key)) throw supabaseError('InvalidSignature');
  return claims;
}

function signedPath({ bucket, clock, options }: StorageCall, key: string, seconds: number): string {
  const exp = Math.floor(clock.epochMs() / 1_000) + seconds;
  const token = signToken({ url: pathOf(bucket, key), exp }, options.jwtSecret);
  return `/object/sign/${bucket}/${key}?token=${token}`;
}

function secondsIn({ expiresIn }: Readonly<Record<string, unknown>>): number {
  if (typeof expiresIn === 'number' && expiresIn >= 1) return Math.trunc(expiresIn);
  throw supabaseError('InvalidRequest', 'body/expiresIn must be >= 1');
}
