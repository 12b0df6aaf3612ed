import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type Server as NetServer, createServer } from 'node:net';
import { X509Certificate, createHash } from 'node:crypto';
import { once } from 'node:events';
import { type TlsOptions, connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type CertificateAuthority,
  type TlsFaultKind,
  createCertificateAuthority,
  tlsServerOptions,
} from '@holdfast/faults';
import {
  type AddressSet,
  type DialedConnection,
  type TlsPolicy,
  type TlsRefusal,
  classifyTlsFailure,
  createDialer,
} from '@holdfast/network';
import axios from 'axios';
import got from 'got';
import { Agent, fetch as undiciFetch, request as undiciRequest } from 'undici';
import { type TlsServerFixture, openTlsServer } from '../../../src/network/tls-server.ts';

const hostnames = ['localhost', '127.0.0.1'];
let authority: CertificateAuthority;
let plain: NetServer;
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  authority = createCertificateAuthority();
  plain = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
  });
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  closers.push(() => plain.close());
});
afterAll(() => Promise.all(closers.map((close) => close())));

/** Each resolves with nothing that counts; it is the error that is looked at. */
type Call = (port: number, ca: string, crl?: string | string[]) => Promise<unknown>;

const clients: Readonly<Record<string, Call>> = {
  'node:tls': async (port, ca, crl) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca, crl });
    try {
      await once(socket, 'secureConnect');
    } finally {
      socket.destroy();
    }
  },
  'node:https': async (port, ca, crl) => {
    const sent = httpsRequest({ host: 'localhost', family: 4, port, ca, crl, agent: false });
    sent.end();
    const [response] = await once(sent, 'response');
    response.resume();
  },
  undici: async (port, ca, crl) => {
    const dispatcher = new Agent({ connect: { ca, crl, family: 4 } });
    closers.push(() => dispatcher.destroy());
    const { body } = await undiciRequest(`https://localhost:${port}/`, { dispatcher });
    await body.dump();
  },
  fetch: async (port, ca, crl) => {
    const dispatcher = new Agent({ connect: { ca, crl, family: 4 } });
    closers.push(() => dispatcher.destroy());
    await (await undiciFetch(`https://localhost:${port}/`, { dispatcher })).text();
  },
  axios: async (port, ca, crl) => {
    const httpsAgent = new HttpsAgent({ ca, crl, family: 4 });
    await axios.get(`https://localhost:${port}/`, { httpsAgent });
  },
  got: async (port, ca, crl) => {
    const agent = { https: new HttpsAgent({ ca, crl, family: 4 }) };
    await got(`https://localhost:${port}/`, { agent, retry: { limit: 0 } });
  },
};

async function kindOf(work: Promise<unknown>): Promise<TlsRefusal | undefined> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const classified = classifyTlsFailure(error, { hostname: 'localhost' });
  if (classified === undefined) return undefined;
  expect(classified).toMatchObject({ retryable: false, hostname: 'localhost' });
  return classified.kind;
}

/** What the codes of clients can tell: an incomplete chain has that of an unknown authority. */
const kinds: readonly (readonly [TlsFaultKind, TlsRefusal])[] = [
  ['expired', 'expired'],
  ['notYetValid', 'notYetValid'],
  ['wrongHost', 'wrongHost'],
  ['selfSigned', 'selfSigned'],
  ['unknownAuthority', 'unknownCa'],
  ['incompleteChain', 'unknownCa'],
  ['oldProtocol', 'oldProtocol'],
];

const table = Object.entries(clients).flatMap(([client, call]) =>
  kinds.map(([fault, kind]) => ({ client, call, fault, kind })),
);

async function serve(fault?: TlsFaultKind): Promise<TlsServerFixture> {
  const options = tlsServerOptions(authority, { hostnames, ...(fault && { fault }) });
  const server = await openTlsServer(options);
  closers.push(() => server.close());
  return server;
}

const servers = new Map<TlsFaultKind, Promise<TlsServerFixture>>();

test.each(table)(
  '$client and a server with the fault $fault: classified as $kind',
  async ({ call, fault, kind }) => {
    const server = servers.get(fault) ?? serve(fault);
    servers.set(fault, server);
    const { port } = await server;
    expect(await kindOf(call(port, authority.certificate))).toBe(kind);
  },
);

test.each(Object.entries(clients))(
  '%s and a server without TLS: classified as plain text',
  async (_client, call) => {
    const address = plain.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(await kindOf(call(port, authority.certificate))).toBe('plainText');
  },
);

test.each(Object.entries(clients))(
  '%s with revocation lists: revoked and stale are told apart',
  async (_client, call) => {
    const issuer = createCertificateAuthority();
    const options = issuer.issue({ hostnames });
    const server = await openTlsServer(options);
    closers.push(() => server.close());
    const nowMs = Date.now();
    const stale = issuer.revocationList({
      thisUpdateMs: nowMs - 2_000,
      nextUpdateMs: nowMs - 1_000,
    });
    expect(await kindOf(call(server.port, issuer.certificate, stale))).toBe('crlStale');
    issuer.revoke(options.cert);
    const current = issuer.revocationList();
    expect(await kindOf(call(server.port, issuer.certificate, current))).toBe('revoked');
  },
);

test('a revoked certificate is seen as revoked though the list of the root is stale', async () => {
  const issuer = authority.createIntermediate();
  const options = issuer.issue({ hostnames });
  const server = await openTlsServer(options);
  closers.push(() => server.close());
  issuer.revoke(options.cert);
  const nowMs = Date.now();
  const stale = authority.revocationList({
    thisUpdateMs: nowMs - 2_000,
    nextUpdateMs: nowMs - 1_000,
  });
  const crls = [issuer.revocationList(), stale];
  for (const crlStale of ['refuse', 'accept-and-warn'] as const) {
    const tls = { ca: authority.certificate, crls, crlStale };
    const dialer = createDialer({ allowPrivate: true, family: 4, tls });
    closers.push(() => dialer.close());
    const dialing = dialer.dial({ hostname: 'localhost', port: server.port, secure: true });
    await expect(dialing).rejects.toMatchObject({ kind: 'revoked' });
  }
  // OpenSSL reports what it sees last.
  const { 'node:tls': call } = clients;
  expect(await kindOf(call?.(server.port, authority.certificate, crls) ?? Promise.resolve())).toBe(
    'crlStale',
  );
});

test('a reset during the handshake is no refusal, for it may pass', async () => {
  const resetting = createServer((socket) => socket.resetAndDestroy());
  resetting.listen(0, '127.0.0.1');
  await once(resetting, 'listening');
  closers.push(() => resetting.close());
  const address = resetting.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const call = clients['node:https'];
  expect(await kindOf(call?.(port, authority.certificate) ?? Promise.resolve())).toBeUndefined();
  const dialer = createDialer({ allowPrivate: true, family: 4 });
  closers.push(() => dialer.close());
  const failure = dialer.dial({ hostname: 'localhost', port, secure: true });
  await expect(failure).rejects.toMatchObject({ kind: 'reset', retryable: true });
});

/** A dialer that trusts the authority, and what it says of a server that any options make. */
async function dialed(
  options: TlsOptions,
  tls: TlsPolicy = {},
  hostname = 'localhost',
): Promise<DialedConnection> {
  const server = await openTlsServer(options);
  closers.push(() => server.close());
  const resolver = {
    resolve: (name: string): Promise<AddressSet> =>
      Promise.resolve({
        hostname: name,
        addresses: [{ address: '127.0.0.1', family: 4 }],
        validUntilMs: Infinity,
        revision: 1,
      }),
  };
  const policy = { ca: authority.certificate, ...tls };
  const dialer = createDialer({ allowPrivate: true, resolver, tls: policy });
  closers.push(() => dialer.close());
  const connection = await dialer.dial({ hostname, port: server.port, secure: true });
  closers.push(() => connection.socket.destroy());
  return connection;
}

test('a certificate is verified for an address, and a wildcard for one label', async () => {
  const good = authority.issue({ hostnames: ['127.0.0.1', '*.a.test'] });
  expect((await dialed(good, {}, '127.0.0.1')).validToMs).toBeGreaterThan(Date.now());
  expect((await dialed(good, {}, 'b.a.test')).resumed).toBe(false);
  await expect(dialed(good, {}, 'c.b.a.test')).rejects.toMatchObject({ kind: 'wrongHost' });
  const named = authority.issue({ hostnames: ['localhost'] });
  await expect(dialed(named, {}, '127.0.0.1')).rejects.toMatchObject({ kind: 'wrongHost' });
});

test('an intermediate that has been revoked is refused with all that it signed', async () => {
  const issuer = authority.createIntermediate();
  authority.revoke(issuer.certificate);
  const crls = [authority.revocationList()];
  const refused = dialed(issuer.issue({ hostnames }), { crls });
  await expect(refused).rejects.toMatchObject({
    kind: 'revoked',
    subject: expect.stringContaining('intermediate'),
  });
  expect((await dialed(authority.issue({ hostnames }), { crls })).resumed).toBe(false);
});

test('a list that the issuer has not signed is no list', async () => {
  const [, forged = ''] = /-----BEGIN X509 CRL-----([^-]+)/.exec(authority.revocationList()) ?? [];
  const der = Buffer.from(forged, 'base64');
  // Inside the signature.
  der[der.length - 3] = (der[der.length - 3] ?? 0) ^ 1;
  const refused = dialed(authority.issue({ hostnames }), { crls: [der] });
  await expect(refused).rejects.toMatchObject({ kind: 'crlMissing' });
});

test('an untrusted root that the server sends is an unknown authority', async () => {
  const stranger = createCertificateAuthority();
  const { key, cert } = stranger.issue({ hostnames });
  const refused = dialed({ key, cert: cert + stranger.certificate });
  await expect(refused).rejects.toMatchObject({
    kind: 'unknownCa',
    tlsCode: 'SELF_SIGNED_CERT_IN_CHAIN',
  });
});

test('a pin matches the key of the server or of its issuer, with a backup that is not in use', async () => {
  const good = authority.issue({ hostnames });
  const backup = `sha256/${'A'.repeat(43)}=`;
  for (const pem of [good.cert, authority.certificate]) {
    const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
    const pin = createHash('sha256').update(key).digest('base64');
    const { socket } = await dialed(good, { pins: { localhost: [pin, backup] } });
    expect(socket.destroyed).toBe(false);
  }
  const pins = { '*.a.test': [backup, `sha256/${'B'.repeat(43)}=`] };
  const named = authority.issue({ hostnames: ['b.a.test', 'localhost'] });
  await expect(dialed(named, { pins }, 'b.a.test')).rejects.toMatchObject({ kind: 'pinMismatch' });
  expect((await dialed(named, { pins })).resumed).toBe(false);
});

test('the least version and the certificate of the client are those of the policy', async () => {
  const old = { ...authority.issue({ hostnames }), maxVersion: 'TLSv1.2' as const };
  expect((await dialed(old)).resumed).toBe(false);
  await expect(dialed(old, { minVersion: 'TLSv1.3' })).rejects.toMatchObject({
    kind: 'oldProtocol',
  });
  const mutual = { ...old, requestCert: true, ca: authority.certificate };
  await expect(dialed(mutual)).rejects.toMatchObject({ kind: 'handshake', retryable: false });
  const client = authority.issue({ hostnames: ['client.test'] });
  expect((await dialed(mutual, client)).resumed).toBe(false);
});
