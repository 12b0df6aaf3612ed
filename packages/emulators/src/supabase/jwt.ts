import { createHmac } from 'node:crypto';
import { isEqualInConstantTime } from '../serving/constant-time.ts';

/** The claims of a token. */
export type Claims = Readonly<Record<string, unknown>>;

/** A JSON Web Token signed by HS256 (RFC 7519). */
export function signToken(claims: Claims, secret: string): string {
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${body}.${signatureOf(body, secret)}`;
}

/** The claims of a valid token; otherwise the error message of the real server. */
export function verifyToken(token: string, secret: string, nowMs: number): Claims | string {
  const [header, claims, signature, ...rest] = token.split('.');
  if (header === undefined || claims === undefined || signature === undefined || rest.length > 0) {
    return 'Invalid Compact JWS';
  }
  const read = decode(claims);
  if (decode(header)?.['alg'] !== 'HS256' || read === undefined) return 'Invalid Compact JWS';
  if (!isEqualInConstantTime(signatureOf(`${header}.${claims}`, secret), signature)) {
    return 'signature verification failed';
  }
  const expiresS = read['exp'];
  const isExpired = expiresS !== undefined && !(Number(expiresS) * 1_000 > nowMs);
  return isExpired ? '"exp" claim timestamp check failed' : read;
}

function encode(value: Claims): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decode(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function signatureOf(body: string, secret: string): string {
  return createHmac('sha256', secret).update(body).digest('base64url');
}
