import type { HttpAnswer } from '../../serving/http-listener.ts';
import { ROLES, type StorageRole } from '../access.ts';
import {
  type StorageCall,
  bucketOf,
  fieldsOf,
  isUpsert,
  jsonAnswer,
  permit,
  canRead,
} from './storage-call.ts';
import { type Claims, signToken, verifyToken } from '../jwt.ts';
import { objectOf, bodyAnswer } from './download.ts';
import { supabaseError } from '../error.ts';
import { pathOf, permitUpload, receive } from './upload.ts';

export async function signDownload(exchange: StorageCall): Promise<HttpAnswer> {
  const seconds = secondsIn(await fieldsOf(exchange));
  permit(exchange, 'select');
  bucketOf(exchange, exchange.bucket);
  objectOf(exchange, exchange.key);
  return jsonAnswer({ signedURL: signedPath(exchange, exchange.key, seconds) });
}

export async function signDownloads(exchange: StorageCall): Promise<HttpAnswer> {
  const fields = await fieldsOf(exchange);
  const seconds = secondsIn(fields);
  const { paths } = fields;
  if (!Array.isArray(paths)) throw supabaseError('MissingParameter');
  const { store, bucket } = exchange;
  const absent = 'Either the object does not exist or you do not have access to it';
  return jsonAnswer(
    paths.map(String).map((path) => {
      const isThere =
        store.objects.get(pathOf(bucket, path)) !== undefined && canRead(exchange, bucket, path);
      return isThere
        ? { path, error: null, signedURL: signedPath(exchange, path, seconds) }
        : { path, error: absent, signedURL: null };
    }),
  );
}

export async function downloadSigned(exchange: StorageCall): Promise<HttpAnswer> {
  claimsOf(exchange, exchange.query.get('token'));
  return bodyAnswer(exchange);
}

export async function signUpload(exchange: StorageCall): Promise<HttpAnswer> {
  const { bucket, key, role, clock, settings } = exchange;
  const upsert = isUpsert(exchange);
  permitUpload(exchange, upsert);
  const exp = Math.floor((clock.epochMs() + settings.signedUploadExpiryMs) / 1_000);
  const token = signToken({ url: pathOf(bucket, key), upsert, role, exp }, settings.jwtSecret);
  return jsonAnswer({ url: `/object/upload/sign/${bucket}/${key}?token=${token}`, token });
}

export async function uploadSigned(exchange: StorageCall): Promise<HttpAnswer> {
  const { upsert, exchange: granted } = grantedBy(exchange, exchange.query.get('token'));
  await receive(granted, upsert);
  return jsonAnswer({ Key: pathOf(exchange.bucket, exchange.key) });
}

/** An upload with a signed token is made in the role of who signed it. */
export function grantedBy(
  exchange: StorageCall,
  token: string | null | undefined,
): { readonly upsert: boolean; readonly exchange: StorageCall } {
  const claims = claimsOf(exchange, token);
  const role: StorageRole = ROLES.find((known) => known === claims['role']) ?? 'anon';
  return { upsert: claims['upsert'] === true, exchange: { ...exchange, role } };
}

/** @throws SupabaseRefusalError unless the token was signed here for that object and has not expired. */
function claimsOf(
  { settings, clock, bucket, key }: StorageCall,
  token: string | null | undefined,
): Claims {
  if (token === null || token === undefined)
    throw supabaseError('InvalidSignature', 'Missing token');
  const claims = verifyToken(token, settings.jwtSecret, clock.epochMs());
  if (typeof claims === 'string') throw supabaseError('InvalidJWT', claims);
  if (claims['url'] !== pathOf(bucket, key)) throw supabaseError('InvalidSignature');
  return claims;
}

function signedPath(
  { bucket, clock, settings }: StorageCall,
  key: string,
  seconds: number,
): string {
  const exp = Math.floor(clock.epochMs() / 1_000) + seconds;
  const token = signToken({ url: pathOf(bucket, key), exp }, settings.jwtSecret);
  return `/object/sign/${bucket}/${key}?token=${token}`;
}

function secondsIn({ expiresIn }: Readonly<Record<string, unknown>>): number {
  if (typeof expiresIn === 'number' && expiresIn >= 1) return Math.trunc(expiresIn);
  throw supabaseError('InvalidParameter', 'body/expiresIn must be >= 1');
}
