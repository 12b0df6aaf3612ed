import { createHash, createHmac } from 'node:crypto';
import { isEqualInConstantTime } from '../../serving/constant-time.ts';
import { s3Error } from './error.ts';
import type { S3Request } from './request.ts';

/** The form of the body, as the request declares it. */
export type PayloadClaim =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'hashed'; readonly sha256: string }
  /** In aws-chunked framing; with `chunks` when each chunk is signed. */
  | { readonly kind: 'framed'; readonly chunks?: ChunkSigner };

/** Computes the signatures of the chunks of a body, each of which depends on the previous one. */
export interface ChunkSigner {
  ofChunk(sha256: string): string;
  ofTrailer(sha256: string): string;
}

/** The access key of the caller (`undefined`: anonymous), and the form of the body. */
export interface Caller {
  readonly accessKeyId: string | undefined;
  readonly payload: PayloadClaim;
}

export interface Verifier {
  readonly secretOf: (accessKeyId: string) => string | undefined;
  readonly nowMs: () => number;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
/** The largest difference between the clocks of client and server. */
const MAX_SKEW_MS = 15 * 60_000;
const MAX_EXPIRES_S = 7 * 24 * 3_600;

/** The parameters of a signature, from the header or the query. */
interface Claim {
  readonly accessKeyId: string;
  /** Date, region, service, `aws4_request`. */
  readonly scope: readonly string[];
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** As `20260102T030405Z`. */
  readonly stamp: string;
  /** The hash of the body that was signed. */
  readonly payload: string;
  readonly isPresigned: boolean;
}

/** Verifies Signature Version 4. @throws S3Error */
export function verifySignature(request: S3Request, verifier: Verifier): Caller {
  const claim = parseClaim(request, verifier);
  if (claim === undefined) {
    return { accessKeyId: undefined, payload: payloadOf(request.header('x-amz-content-sha256')) };
  }
  const secret = verifier.secretOf(claim.accessKeyId);
  if (secret === undefined) throw s3Error('InvalidAccessKeyId');
  const scope = claim.scope.join('/');
  const toSign = [ALGORITHM, claim.stamp, scope, sha256(canonicalRequest(request, claim))];
  const key = signingKey(secret, claim.scope);
  const expected = hmac(key, toSign.join('\n')).toString('hex');
  if (!isEqualInConstantTime(expected, claim.signature)) throw s3Error('SignatureDoesNotMatch');
  const chunks = chunkSigner(key, `${claim.stamp}\n${scope}`, claim.signature);
  return { accessKeyId: claim.accessKeyId, payload: payloadOf(claim.payload, chunks) };
}

/**
 * Verifies the signature of a form's policy.
 * @param fields by their names in lower case
 * @returns the access key of whoever signed it; `undefined` for a form without a policy
 * @throws S3Error
 */
export function verifyForm(
  fields: ReadonlyMap<string, string>,
  { secretOf }: Verifier,
): string | undefined {
  const policy = fields.get('policy');
  if (policy === undefined) return undefined;
  const credential = fields.get('x-amz-credential');
  const stamp = fields.get('x-amz-date') ?? '';
  const algorithm = fields.get('x-amz-algorithm');
  if (algorithm === undefined) throw oldSignature();
  const malformed = 'AuthorizationQueryParametersError';
  const { accessKeyId, scope } = credentialOf(credential, malformed, algorithm, stamp);
  const secret = secretOf(accessKeyId);
  if (secret === undefined) throw s3Error('InvalidAccessKeyId');
  const expected = hmac(signingKey(secret, scope), policy).toString('hex');
  if (isEqualInConstantTime(expected, fields.get('x-amz-signature') ?? '')) return accessKeyId;
  throw s3Error('SignatureDoesNotMatch');
}

/** Signature Version 2, as old clients send it; S3 refuses it too, except in its oldest regions. */
function oldSignature(): Error {
  const words = 'The authorization mechanism you have provided is not supported.';
  return s3Error('InvalidRequest', `${words} Please use ${ALGORITHM}.`);
}

function signingKey(secret: string, scope: readonly string[]): Buffer | string {
  return scope.reduce<Buffer | string>((outer, part) => hmac(outer, part), `AWS4${secret}`);
}

function parseClaim(request: S3Request, { nowMs }: Verifier): Claim | undefined {
  const authorization = request.header('authorization');
  if (authorization !== undefined) {
    const claim = headerClaim(request, authorization);
    const skewMs = Math.abs(nowMs() - epochMsOf(claim.stamp));
    if (!(skewMs <= MAX_SKEW_MS)) throw s3Error('RequestTimeTooSkewed');
    return claim;
  }
  if (request.query.has('AWSAccessKeyId')) throw oldSignature();
  if (request.query.get('X-Amz-Algorithm') === undefined) return undefined;
  const { claim, expiresMs } = queryClaim(request);
  const ageMs = nowMs() - epochMsOf(claim.stamp);
  if (!(ageMs >= -MAX_SKEW_MS)) throw s3Error('AccessDenied', 'Request is not valid yet');
  if (ageMs > expiresMs) throw s3Error('AccessDenied', 'Request has expired');
  return claim;
}

function headerClaim(request: S3Request, authorization: string): Claim {
  const [algorithm, ...rest] = authorization.split(' ');
  const fields = new Map(
    rest
      .join('')
      .split(',')
      .map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]),
  );
  const stamp = request.header('x-amz-date');
  const payload = request.header('x-amz-content-sha256');
  if (payload === undefined) {
    throw s3Error(
      'InvalidRequest',
      'Missing required header for this request: x-amz-content-sha256',
    );
  }
  if (stamp === undefined) throw s3Error('AccessDenied', 'A signed request needs x-amz-date');
  return {
    ...credentialOf(fields.get('Credential'), 'AuthorizationHeaderMalformed', algorithm, stamp),
    signedHeaders: (fields.get('SignedHeaders') ?? '').split(';'),
    signature: fields.get('Signature') ?? '',
    stamp,
    payload,
    isPresigned: false,
  };
}

function queryClaim({ query }: S3Request): { claim: Claim; expiresMs: number } {
  const malformed = 'AuthorizationQueryParametersError';
  const stamp = query.get('X-Amz-Date') ?? '';
  const expiresS = Number(query.get('X-Amz-Expires'));
  if (!(expiresS >= 1 && expiresS <= MAX_EXPIRES_S)) {
    throw s3Error(malformed, `X-Amz-Expires must be from 1 to ${MAX_EXPIRES_S}`);
  }
  const algorithm = query.get('X-Amz-Algorithm');
  const claim = {
    ...credentialOf(query.get('X-Amz-Credential'), malformed, algorithm, stamp),
    signedHeaders: (query.get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    stamp,
    payload: query.get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD',
    isPresigned: true,
  };
  return { claim, expiresMs: expiresS * 1_000 };
}

function credentialOf(
  credential: string | undefined,
  malformed: 'AuthorizationHeaderMalformed' | 'AuthorizationQueryParametersError',
  algorithm: string | undefined,
  stamp: string,
): Pick<Claim, 'accessKeyId' | 'scope'> {
  const parts = credential?.split('/') ?? [];
  // An access key may contain slashes.
  const scope = parts.splice(-4);
  const [date, , service, terminator] = scope;
  const isWhole =
    algorithm === ALGORITHM &&
    parts.length > 0 &&
    service === 's3' &&
    terminator === 'aws4_request' &&
    date === stamp.slice(0, 8);
  if (!isWhole) throw s3Error(malformed);
  return { accessKeyId: parts.join('/'), scope };
}

function canonicalRequest(request: S3Request, claim: Claim): string {
  const query = [...request.query.pairs]
    .filter(([name]) => !(claim.isPresigned && name === 'X-Amz-Signature'))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .toSorted();
  const headers = claim.signedHeaders.map((name) => {
    const value = request.header(name) ?? '';
    return `${name}:${value.trim().replaceAll(/ +/g, ' ')}\n`;
  });
  return [
    request.method,
    request.rawPath
      .split('/')
      .map((part) => encode(decodeURIComponent(part)))
      .join('/'),
    query.join('&'),
    headers.join(''),
    claim.signedHeaders.join(';'),
    claim.payload,
  ].join('\n');
}

function payloadOf(claimed: string | undefined, chunks?: ChunkSigner): PayloadClaim {
  if (claimed === undefined || claimed === 'UNSIGNED-PAYLOAD') return { kind: 'unsigned' };
  if (claimed === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') return { kind: 'framed' };
  if (/^STREAMING-AWS4-HMAC-SHA256-PAYLOAD(?:-TRAILER)?$/.test(claimed)) {
    return chunks === undefined ? { kind: 'framed' } : { kind: 'framed', chunks };
  }
  if (/^[0-9a-f]{64}$/.test(claimed)) return { kind: 'hashed', sha256: claimed };
  throw s3Error('InvalidArgument', 'x-amz-content-sha256 is neither a hash nor a known value');
}

export function chunkSigner(
  key: Buffer | string,
  stampAndScope: string,
  seed: string,
): ChunkSigner {
  const nothing = sha256('');
  let previous = seed;
  const next = (kind: string, ...rest: readonly string[]): string =>
    (previous = hmac(key, [kind, stampAndScope, previous, ...rest].join('\n')).toString('hex'));
  return {
    ofChunk: (hash) => next(`${ALGORITHM}-PAYLOAD`, nothing, hash),
    ofTrailer: (hash) => next('AWS4-HMAC-SHA256-TRAILER', hash),
  };
}

/** Percent-encodes all bytes except letters, digits, `-`, `_`, `.` and `~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (left) => `%${left.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** NaN for an invalid time stamp. */
function epochMsOf(stamp: string): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
