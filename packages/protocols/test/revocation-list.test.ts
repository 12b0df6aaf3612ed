import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import {
  issuerNameOf,
  readRevocationList,
  writeCertificate,
  writeRevocationList,
} from '../src/x509.ts';

const FROM_MS = Date.UTC(2030, 0, 1);
const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const issuer = { commonName: 'authority', publicKey: keys.publicKey };

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
}

function listOf(...revoked: readonly Buffer[]): Buffer {
  const fields = { issuer, thisUpdateMs: FROM_MS, nextUpdateMs: FROM_MS + 1_000, revoked };
  return derOf(writeRevocationList(fields, keys.privateKey));
}

test('what was written is read', () => {
  const list = readRevocationList(listOf(Buffer.from('00ff01', 'hex'), Buffer.from('07', 'hex')));
  expect(list).toMatchObject({
    thisUpdateMs: FROM_MS,
    nextUpdateMs: FROM_MS + 1_000,
    serialNumbers: new Set(['FF01', '7']),
  });
  expect(readRevocationList(listOf()).serialNumbers.size).toBe(0);
});

test('the issuer is written as in the certificates that it signs', () => {
  const certificate = writeCertificate(
    {
      serial: Buffer.from([1]),
      subject: { ...issuer, commonName: 'server' },
      issuer,
      validFromMs: FROM_MS,
      validToMs: FROM_MS,
      role: { hostnames: ['a.test'] },
    },
    keys.privateKey,
  );
  expect(readRevocationList(listOf()).issuer).toEqual(issuerNameOf(derOf(certificate)));
});

test('only the key of the issuer has signed it', () => {
  const list = readRevocationList(listOf());
  expect(list.isSignedBy(keys.publicKey)).toBe(true);
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  expect(list.isSignedBy(other.publicKey)).toBe(false);
  expect(list.isSignedBy(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey)).toBe(
    false,
  );
});

test('every cut and every flipped byte is refused', () => {
  const der = listOf(Buffer.from('07', 'hex'));
  for (let length = 0; length < der.length; length += 1) {
    expect(() => readRevocationList(der.subarray(0, length))).toThrow('not readable');
  }
  for (let index = 0; index < der.length; index += 1) {
    const damaged = Buffer.from(der);
    damaged[index] = (damaged[index] ?? 0) ^ 0xff;
    let isAccepted = false;
    try {
      isAccepted = readRevocationList(damaged).isSignedBy(keys.publicKey);
    } catch {
      // Refused.
    }
    expect([index, isAccepted]).toEqual([index, false]);
  }
});
