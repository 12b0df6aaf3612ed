import type { X509Certificate } from 'node:crypto';
import { InvalidOptionError } from '@holdfast/foundation';
import { type RevocationList, issuerNameOf, readRevocationList } from '@holdfast/protocols/x509';
import type { TlsRefusal } from './errors.ts';
import { type Chain, isSelfSigned } from './presented-chain.ts';

/** What the revocation lists say of a chain. */
type RevocationVerdict =
  | { readonly kind: 'good' }
  | {
      readonly kind: 'refused';
      readonly refusal: Extract<TlsRefusal, 'revoked' | 'crlStale' | 'crlMissing'>;
      readonly certificate: X509Certificate;
      readonly nextUpdateMs?: number;
    };

const PEM = /-----BEGIN X509 CRL-----([\s\S]*?)-----END X509 CRL-----/g;

/** Reads lists as PEM, several in one text too, or DER. @throws InvalidOptionError */
export function parseCrls(
  given: readonly (string | Buffer)[],
  field: string,
  owner: string,
): readonly RevocationList[] {
  return given.flatMap((each, index) => {
    const refuse = (): InvalidOptionError =>
      new InvalidOptionError(
        owner,
        `${field}[${index}]`,
        each,
        'a complete certificate revocation list as PEM or DER, signed by ECDSA, RSA or Ed25519',
      );
    if (typeof each !== 'string' && !Buffer.isBuffer(each)) throw refuse();
    const texts = [...each.toString('latin1').matchAll(PEM)].map(([, base64 = '']) => base64);
    const lists: Buffer[] = texts.map((base64) => Buffer.from(base64, 'base64'));
    if (lists.length === 0 && Buffer.isBuffer(each)) lists.push(each);
    if (lists.length === 0) throw refuse();
    try {
      return lists.map(readRevocationList);
    } catch {
      throw refuse();
    }
  });
}

/**
 * Looks every certificate of the chain up in the newest list of its issuer. OpenSSL could do it too, but it reports the
 * last thing that it finds: a stale list of the root hides that the server's certificate is revoked.
 * @param acceptStale called for a list that is stale; whether to use it nevertheless.
 */
export function checkRevocation(
  chain: Chain,
  lists: readonly RevocationList[],
  nowMs: number,
  acceptStale: (certificate: X509Certificate, list: RevocationList) => boolean,
): RevocationVerdict {
  const verdicts =
    lists.length === 0
      ? []
      : chain
          .filter((certificate) => !isSelfSigned(certificate))
          .map((each) => checkOne(each, chain, lists, nowMs, acceptStale));
  const refused = verdicts.filter((verdict) => verdict.kind === 'refused');
  return refused.find(({ refusal }) => refusal === 'revoked') ?? refused[0] ?? { kind: 'good' };
}

function checkOne(
  certificate: X509Certificate,
  chain: Chain,
  lists: readonly RevocationList[],
  nowMs: number,
  acceptStale: (certificate: X509Certificate, list: RevocationList) => boolean,
): RevocationVerdict {
  const name = issuerNameOf(certificate.raw);
  const named = lists.filter(({ issuer }) => issuer.equals(name));
  if (named.length === 0) return { kind: 'good' };
  const issuer = chain.find((each) => each !== certificate && certificate.checkIssued(each));
  const [newest] = named
    .filter((list) => issuer !== undefined && list.isSignedBy(issuer.publicKey))
    .toSorted((one, other) => other.thisUpdateMs - one.thisUpdateMs);
  if (newest === undefined) return { kind: 'refused', refusal: 'crlMissing', certificate };
  if (newest.serialNumbers.has(certificate.serialNumber.replace(/^0+(?=.)/, ''))) {
    return { kind: 'refused', refusal: 'revoked', certificate };
  }
  const { thisUpdateMs, nextUpdateMs } = newest;
  const isCurrent = thisUpdateMs <= nowMs && nowMs <= nextUpdateMs;
  if (isCurrent || acceptStale(certificate, newest)) return { kind: 'good' };
  return { kind: 'refused', refusal: 'crlStale', certificate, nextUpdateMs };
}
