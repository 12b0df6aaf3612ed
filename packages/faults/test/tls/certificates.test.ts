import { X509Certificate, createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { connect, createServer } from 'node:tls';
import { expect, test } from '@jest/globals';
import {
  type TlsFaultKind,
  type TlsServerOptions,
  createCertificateAuthority,
  createSelfSignedCertificate,
  tlsFaultKinds,
  tlsServerOptions,
} from '@holdfast/faults';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import * as fc from 'fast-check';
import { portOf } from '../servers.ts';

const hostnames = ['localhost', '127.0.0.1'];

/** What a client that trusts `ca` meets at a server with these settings: its cipher, or its error's code. */
async function meet(settings: TlsServerOptions, ca: string): Promise<string> {
  const server = createServer({ ...settings }, (socket) => {
    socket.on('error', () => {});
    socket.end('hello');
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port: portOf(server), servername: 'localhost', ca });
  try {
    return await new Promise<string>((resolve) => {
      client.once('secureConnect', () => resolve(client.getProtocol() ?? 'none'));
      client.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'no code'));
    });
  } finally {
    client.destroy();
    server.close();
    await once(server, 'close');
  }
}

test('a client that trusts the authority connects to a server with its certificate', async () => {
  const authority = createCertificateAuthority();
  expect(await meet(tlsServerOptions(authority, { hostnames }), authority.certificate)).toBe(
    'TLSv1.3',
  );
});

const seen: Record<TlsFaultKind, string> = {
  expired: 'CERT_HAS_EXPIRED',
  notYetValid: 'CERT_NOT_YET_VALID',
  wrongHost: 'ERR_TLS_CERT_ALTNAME_INVALID',
  selfSigned: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  unknownAuthority: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  incompleteChain: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  // Node falls back to the common name.
  noSubjectAltName: 'TLSv1.3',
  oldProtocol: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
};

test.each(tlsFaultKinds)(
  'a client of a server with the fault %s reports its own error',
  async (kind) => {
    const authority = createCertificateAuthority();
    const settings = tlsServerOptions(authority, { hostnames, fault: kind });
    expect(await meet(settings, authority.certificate)).toBe(seen[kind]);
  },
);

test('expired and notYetValid follow the given clock', () => {
  const clock = createFakeClock(Date.UTC(2060, 0, 1));
  const authority = createCertificateAuthority({ clock });
  const dates = (fault?: TlsFaultKind): X509Certificate =>
    new X509Certificate(
      tlsServerOptions(authority, { hostnames, clock, ...(fault && { fault }) }).cert,
    );
  expect(Date.parse(dates('expired').validTo)).toBeLessThan(clock.epochMs());
  expect(Date.parse(dates('notYetValid').validFrom)).toBeGreaterThan(clock.epochMs());
  expect(Date.parse(dates().validFrom)).toBeLessThan(clock.epochMs());
  expect(Date.parse(dates().validTo)).toBeGreaterThan(clock.epochMs());
});

test('the same random source gives the same serial numbers', () => {
  const serials = (): string[] => {
    const authority = createCertificateAuthority({ random: seededRandom(3) });
    const { cert } = authority.issue({ hostnames });
    return [authority.certificate, cert].map((pem) => new X509Certificate(pem).serialNumber);
  };
  expect(serials()).toEqual(serials());
  expect(new Set(serials()).size).toBe(2);
});

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?$/);
const dnsName = fc
  .tuple(fc.boolean(), fc.array(label, { minLength: 2, maxLength: 4 }))
  .map(([isWild, labels]) => (isWild ? '*.' : '') + labels.join('.'))
  // Four groups of digits would be an address.
  .filter((name) => isIP(name) === 0);
const names = fc.array(fc.oneof(dnsName, fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 40 });
const date = fc.integer({ min: -631_152_000, max: 253_402_300_799 });

test('a written certificate is read back with its names, dates, serial, key and signature', () => {
  const authority = createCertificateAuthority({ commonName: 'Prüfstelle' });
  const issuer = new X509Certificate(authority.certificate);
  expect(issuer.ca).toBe(true);
  expect(issuer.subject).toBe('CN=Prüfstelle');
  expect(issuer.verify(issuer.publicKey)).toBe(true);
  const seconds = (text: string): number => Date.parse(text) / 1_000;
  fc.assert(
    fc.property(names, date, date, fc.integer(), (some, one, other, seed) => {
      const [from = 0, to = 0] = [one, other].toSorted((a, b) => a - b);
      const validity = { validFromMs: from * 1_000, validToMs: to * 1_000 };
      const { key, cert } = authority.issue({ hostnames: some, ...validity });
      const read = new X509Certificate(cert);
      expect([seconds(read.validFrom), seconds(read.validTo)]).toEqual([from, to]);
      expect(read.ca).toBe(false);
      expect(read.checkIssued(issuer)).toBe(true);
      expect(read.verify(issuer.publicKey)).toBe(true);
      expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true);
      for (const name of some) {
        const asked = name.replace('*', 'any');
        const covering = isIP(name) === 0 ? read.checkHost(asked) : read.checkIP(name);
        expect([name, covering !== undefined]).toEqual([name, true]);
      }
      const random = seededRandom(seed);
      const self = new X509Certificate(
        createSelfSignedCertificate({ hostnames: some, random }).cert,
      );
      const serial = createSelfSignedCertificate({ hostnames: some, random: seededRandom(seed) });
      expect(new X509Certificate(serial.cert).serialNumber).toBe(self.serialNumber);
      expect(self.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
      expect(self.verify(self.publicKey)).toBe(true);
    }),
    { seed: 20_261, numRuns: 150 },
  );
});

test.each([
  [{}, 'hostnames'],
  [{ hostnames: [] }, 'hostnames'],
  [{ hostnames: ['localhost', 'a b'] }, 'hostnames[1]'],
  [{ hostnames: ['a.*.example'] }, 'hostnames[0]'],
  [{ hostnames: ['fe80::1%lo'] }, 'hostnames[0]'],
  [{ hostnames: ['a'.repeat(64)] }, 'hostnames[0]'],
  [{ hostnames, validToMs: 0.5 }, 'validToMs'],
  [{ hostnames, validFromMs: Infinity }, 'validFromMs'],
  [{ hostnames, validFromMs: 2_000, validToMs: 1_000 }, 'validToMs'],
  [{ hostnames, valid: true }, 'valid'],
])('the certificate options %j are refused, naming %s', (options, field) => {
  const authority: { issue(given: object): unknown } = createCertificateAuthority();
  expect(() => authority.issue(options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test('an unknown TLS fault is refused, naming the known ones', () => {
  const options = { hostnames, fault: 'meteor' };
  const wrong: object = options;
  expect(() => tlsServerOptions(createCertificateAuthority(), { hostnames, ...wrong })).toThrow(
    expect.objectContaining({ field: 'fault', permitted: expect.stringContaining('notYetValid') }),
  );
});
