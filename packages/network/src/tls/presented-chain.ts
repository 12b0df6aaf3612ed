import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, PeerCertificate } from 'node:tls';
import { propertyOf } from '@holdfast/foundation';
import type { TlsRefusal } from './errors.ts';

/** The certificates from the server's own to the last known issuer. */
export type Chain = readonly X509Certificate[];

const MAX_DEPTH = 10;

/** @param certificate of `getPeerCertificate(true)`; Node gives the issuers only once. */
export function chainOf(certificate: PeerCertificate | DetailedPeerCertificate): Chain {
  const chain: X509Certificate[] = [];
  const seen = new Set<unknown>();
  let each: unknown = certificate;
  for (let raw = rawOf(each); raw !== undefined && !seen.has(each); raw = rawOf(each)) {
    if (chain.length === MAX_DEPTH) break;
    seen.add(each);
    chain.push(new X509Certificate(raw));
    each = propertyOf(each, 'issuerCertificate');
  }
  return chain;
}

function rawOf(certificate: unknown): Buffer | undefined {
  const raw = propertyOf(certificate, 'raw');
  return Buffer.isBuffer(raw) ? raw : undefined;
}

export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate);
}

/** When the first certificate of the chain ends, in milliseconds since the Unix epoch. */
export function validToMs(chain: Chain): number {
  return Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
}

/** The certificate of the chain that is at fault. */
export function certificateAtFault(
  kind: TlsRefusal,
  chain: Chain,
  nowMs: number,
): X509Certificate | undefined {
  const found = chain.find((each) => {
    if (kind === 'expired') return Date.parse(each.validTo) < nowMs;
    return kind === 'notYetValid' && Date.parse(each.validFrom) > nowMs;
  });
  return found ?? (kind === 'unknownCa' || kind === 'incompleteChain' ? chain.at(-1) : chain[0]);
}

const MAX_INTERMEDIATES = 256;
const PUBLISHED_ISSUER = /^CA Issuers - URI:/m;

/**
 * Tells a server that does not send its intermediate from one whose authority is unknown. Both end with a certificate
 * whose issuer is not at hand, so it takes proof: the issuer is an intermediate that another server has sent, in a chain
 * that was verified; or the server sent nothing but its own certificate, and that one says where its issuer's certificate is
 * published, as authorities write it into what their intermediates sign.
 */
export class Intermediates {
  readonly #known = new Map<string, X509Certificate>();

  /** Remembers the intermediates of a verified chain. */
  add(chain: Chain): void {
    for (const each of chain.slice(1)) {
      if (!isSelfSigned(each)) this.#remember(each);
    }
  }

  isMissing(chain: Chain): boolean {
    const last = chain.at(-1);
    if (last === undefined || isSelfSigned(last)) return false;
    if (chain.length === 1 && PUBLISHED_ISSUER.test(last.infoAccess ?? '')) return true;
    return [...this.#known.values()].some(
      (known) => last.checkIssued(known) && last.verify(known.publicKey),
    );
  }

  #remember(certificate: X509Certificate): void {
    const { fingerprint256 } = certificate;
    this.#known.delete(fingerprint256);
    this.#known.set(fingerprint256, certificate);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_INTERMEDIATES && oldest !== undefined) this.#known.delete(oldest);
  }
}
