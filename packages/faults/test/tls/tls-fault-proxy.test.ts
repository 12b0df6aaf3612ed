import { once } from 'node:events';
import { get } from 'node:https';
import { type Server as HttpServer, createServer as createHttpServer } from 'node:http';
import { type Server, createServer } from 'node:net';
import {
  type TLSSocket,
  connect,
  createServer as createTlsServer,
  getCACertificates,
  setDefaultCACertificates,
} from 'node:tls';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  type TlsFaultKind,
  type TlsFaultProxy,
  type TlsFaultProxyOptions,
  createCertificateAuthority,
  createTlsFaultProxy,
} from '@holdfast/faults';
import { fate, portOf, read } from '../servers.ts';

let echo: Server;
let api: HttpServer;
const proxies: TlsFaultProxy[] = [];
const sockets: TLSSocket[] = [];

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  api = createHttpServer((_, response) => response.end('answer')).listen(0, '127.0.0.1');
  await Promise.all([once(echo, 'listening'), once(api, 'listening')]);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  api.closeAllConnections();
  api.close();
  echo.close();
});

async function before(
  server: Server | HttpServer,
  options: Omit<TlsFaultProxyOptions, 'target'> = {},
): Promise<TlsFaultProxy> {
  const proxy = await createTlsFaultProxy({ ...options, target: { port: portOf(server) } });
  proxies.push(proxy);
  return proxy;
}

const dial = (proxy: TlsFaultProxy, session?: Buffer): TLSSocket => {
  const { host, port, ca } = proxy;
  const halfOpen = { allowHalfOpen: true };
  const socket = connect({ host, port, ca, session, ...halfOpen });
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
};

/** What a fault is called by a client that only connects, and by one that writes at once. */
const codes: [TlsFaultKind, string, RegExp][] = [
  ['expired', 'CERT_HAS_EXPIRED', /^CERT_HAS_EXPIRED$/],
  ['notYetValid', 'CERT_NOT_YET_VALID', /^CERT_NOT_YET_VALID$/],
  ['wrongHost', 'ERR_TLS_CERT_ALTNAME_INVALID', /^ERR_TLS_CERT_ALTNAME_INVALID$/],
  ['selfSigned', 'DEPTH_ZERO_SELF_SIGNED_CERT', /^DEPTH_ZERO_SELF_SIGNED_CERT$/],
  ['unknownAuthority', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', /^UNABLE_TO_VERIFY_LEAF_SIGNATURE$/],
  [
    'oldProtocol',
    'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    /^(?:EPROTO|ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION)$/,
  ],
];

test.each(codes)(
  'clients with tls, https and fetch get %s as %s, and the server receives nothing',
  async (kind, code, written) => {
    const proxy = await before(api);
    const { host, port, ca } = proxy;
    let asked = 0;
    api.on('request', () => (asked += 1));
    proxy.faults.set(kind);
    expect(proxy.faults.current()).toBe(kind);
    expect(await fate(dial(proxy))).toBe(code);
    const [failure] = await once(get({ host, port, ca, agent: false }), 'error');
    expect(failure).toMatchObject({ code: expect.stringMatching(written) });
    // `fetch` takes no authority of its own, but those of the process.
    const trusted = getCACertificates();
    setDefaultCACertificates([...trusted, ca]);
    try {
      const cause = { code: expect.stringMatching(written) };
      await expect(fetch(`https://${host}:${port}`)).rejects.toMatchObject({ cause });
      proxy.heal();
      expect(await (await fetch(`https://${host}:${port}`)).text()).toBe('answer');
    } finally {
      setDefaultCACertificates(trusted);
    }
    expect(asked).toBe(1);
  },
);

test('without a fault the proxy terminates TLS, and passes bytes and half-closes to a plain server', async () => {
  const socket = dial(await before(echo));
  const sent = Buffer.alloc(3_000_000, 'holdfast');
  socket.end(sent);
  expect((await read(socket, sent.length)).equals(sent)).toBe(true);
  expect(await fate(socket)).toBe('FIN');
});

test('a client that resumes sessions sees a faulty certificate, and a valid one afterwards', async () => {
  const proxy = await before(echo);
  const first = dial(proxy);
  const [session] = await once(first, 'session');
  const outcome = async (): Promise<string> => {
    const socket = dial(proxy, session);
    const connected = once(socket, 'secureConnect').then(() => 'connected');
    return Promise.race([connected, fate(socket)]);
  };
  expect(await outcome()).toBe('connected');
  proxy.faults.set('expired');
  expect(await outcome()).toBe('CERT_HAS_EXPIRED');
  proxy.heal();
  expect(await outcome()).toBe('connected');
});

test('a rotated certificate is a new valid one, and open connections continue', async () => {
  const proxy = await before(echo);
  const fingerprint = async (socket: TLSSocket): Promise<string> => {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().fingerprint256;
  };
  const old = dial(proxy);
  const shown = await fingerprint(old);
  proxy.rotate();
  const other = dial(proxy);
  expect(await fingerprint(other)).not.toBe(shown);
  expect([old.authorized, other.authorized]).toEqual([true, true]);
  old.write('still here');
  expect(String(await read(old, 10))).toBe('still here');
});

test('the certificate of a target with TLS is verified', async () => {
  const authority = createCertificateAuthority();
  const secure = createTlsServer(authority.issue({ hostnames: ['127.0.0.1'] }), (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(secure, 'listening');
  try {
    const trusting = dial(await before(secure, { targetTls: { ca: authority.certificate } }));
    trusting.write('through two');
    expect(String(await read(trusting, 11))).toBe('through two');
    const doubting = await before(secure, { targetTls: {} });
    expect(await fate(dial(doubting))).toBe('ECONNRESET');
    expect(doubting.getStats().connectionsRefused).toBe(1);
  } finally {
    secure.close();
  }
});

test('invalid options, remote targets and closed proxies are refused', async () => {
  const proxy = await before(echo);
  const faults: { set(kind: string): void } = proxy.faults;
  expect(() => faults.set('meteor')).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'kind' }),
  );
  const wrong = createTlsFaultProxy({ target: { port: 1 }, hostnames: ['not a name'] });
  await expect(wrong).rejects.toMatchObject({ field: 'hostnames[0]' });
  const elsewhere = createTlsFaultProxy({ target: { host: '192.0.2.1', port: 443 } });
  await expect(elsewhere).rejects.toMatchObject({ code: 'FAULTS_REMOTE_TARGET' });
  await Promise.all([proxy.close(), proxy.close()]);
  expect(() => proxy.faults.set('expired')).toThrow(
    expect.objectContaining({ code: 'FAULTS_PROXY_CLOSED' }),
  );
});
