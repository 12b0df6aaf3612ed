import type { HttpAnswer } from '../s3/listen.ts';
import { ROLES, type StorageRole } from './access.ts';
import {
  type Exchange,
  bucketOf,
  fieldsOf,
  isUpsert,
  jsonAnswer,
  permit,
  sees,
} from './exchange.ts';
import { type Claims, signToken, verifyToken } from './jwt.ts';
import { objectOf, sent } from './reading.ts';
import { refuse } from './refusal.ts';
import { pathOf, permitUpload, receive } from './upload.ts';

export async function signDownload(exchange: Exchange): Promise<HttpAnswer> {
  const seconds = secondsIn(await fieldsOf(exchange));
  permit(exchange, 'select');
  bucketOf(exchange, exchange.bucket);
  objectOf(exchange, exchange.key);
  return jsonAnswer({ signedURL: signedPath(exchange, exchange.key, seconds) });
}

export async function signDownloads(exchange: Exchange): Promise<HttpAnswer> {
  const fields = await fieldsOf(exchange);
  const seconds = secondsIn(fields);
  const { paths } = fields;
  if (!Array.isArray(paths)) throw refuse('MissingParameter');
  const { store, bucket } = exchange;
  const absent = 'Either the object does not exist or you do not have access to it';
  return jsonAnswer(
    paths.map(String).map((path) => {
      const isThere =
        store.objects.get(pathOf(bucket, path)) !== undefined && sees(exchange, bucket, path);
      return isThere
        ? { path, error: null, signedURL: signedPath(exchange, path, seconds) }
        : { path, error: absent, signedURL: null };
    }),
  );
}

export async function downloadSigned(exchange: Exchange): Promise<HttpAnswer> {
  claimsOf(exchange, exchange.query.get('token'));
  return sent(exchange);
}

export async function signUpload(exchange: Exchange): Promise<HttpAnswer> {
  const { bucket, key, role, clock, settings } = exchange;
  const upsert = isUpsert(exchange);
  permitUpload(exchange, upsert);
  const exp = Math.floor((clock.epochMs() + settings.signedUploadExpiryMs) / 1_000);
  const token = signToken({ url: pathOf(bucket, key), upsert, role, exp }, settings.jwtSecret);
  return jsonAnswer({ url: `/object/upload/sign/${bucket}/${key}?token=${token}`, token });
}

export async function uploadSigned(exchange: Exchange): Promise<HttpAnswer> {
  const { upsert, exchange: granted } = grantedBy(exchange, exchange.query.get('token'));
  await receive(granted, upsert);
  return jsonAnswer({ Key: pathOf(exchange.bucket, exchange.key) });
}

/** An upload with a signed token is made in the role of who signed it. */
export function grantedBy(
  exchange: Exchange,
  token: string | null | undefined,
): { readonly upsert: boolean; readonly exchange: Exchange } {
  const claims = claimsOf(exchange, token);
  const role: StorageRole = ROLES.find((known) => known === claims['role']) ?? 'anon';
  return { upsert: claims['upsert'] === true, exchange: { ...exchange, role } };
}

/** @throws SupabaseRefusalError unless the token was signed here for that object and has not expired. */
function claimsOf(
  { settings, clock, bucket, key }: Exchange,
  token: string | null | undefined,
): Claims {
  if (token === null || token === undefined) throw refuse('InvalidSignature', 'Missing token');
  const claims = verifyToken(token, settings.jwtSecret, clock.epochMs());
  if (typeof claims === 'string') throw refuse('InvalidJWT', claims);
  if (claims['url'] !== pathOf(bucket, key)) throw refuse('InvalidSignature');
  return claims;
}

function signedPath({ bucket, clock, settings }: Exchange, key: string, seconds: number): string {
  const exp = Math.floor(clock.epochMs() / 1_000) + seconds;
  const token = signToken({ url: pathOf(bucket, key), exp }, settings.jwtSecret);
  return `/object/sign/${bucket}/${key}?token=${token}`;
}

function secondsIn({ expiresIn }: Readonly<Record<string, unknown>>): number {
  if (typeof expiresIn === 'number' && expiresIn >= 1) return Math.trunc(expiresIn);
  throw refuse('InvalidParameter', 'body/expiresIn must be >= 1');
}
