import { once } from 'node:events';
import { type RequestOptions, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { type ConnectionOptions, type TLSSocket, connect } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type TlsFaultKind, tlsFaultKinds } from '@holdfast/faults';
import { type Stage, openStage } from '../../src/stage.ts';

let stage: Stage<{ tls: true }>;
let echo: Stage<{ tls: { protocol: 'echo' } }>;
beforeAll(async () => {
  [stage, echo] = await Promise.all([
    openStage({ mode: 'local', tls: true }),
    openStage({ mode: 'local', tls: { protocol: 'echo' } }),
  ]);
});
afterAll(() => Promise.all([stage.close(), echo.close()]));
beforeEach(async () => {
  for (const { tls } of [stage, echo]) {
    if (tls.state === 'stopped') await tls.start();
    await tls.heal();
    await tls.forgetHandshakes();
  }
});

/** The response over HTTPS to a client that trusts the authority, or the code of its error. */
async function ask(options: RequestOptions = {}, body = ''): Promise<string> {
  const { ca, url } = stage.tls;
  const sent = request(`${url}/a?b=c`, { method: 'POST', ca, agent: false, ...options });
  sent.end(body);
  try {
    const [response] = await once(sent, 'response');
    return await text(response);
  } catch (error) {
    return codeOf(error);
  }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

async function dial(options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { host, port, ca } = echo.tls;
  const socket = connect({ host, port, ca, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

async function echoed(socket: TLSSocket, said: string): Promise<string> {
  socket.write(said);
  const [heard] = await once(socket, 'data');
  return String(heard);
}

test('a client that trusts its authority connects, by name and by address', async () => {
  const answer = JSON.stringify({ method: 'POST', path: '/a?b=c', body: 'question' });
  expect(await ask({}, 'question')).toBe(answer);
  expect(await ask({ servername: 'localhost' }, 'question')).toBe(answer);
  expect(await ask({ ca: [] })).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  expect((await stage.tls.handshakes())[1]).toMatchObject({
    servername: 'localhost',
    protocol: 'TLSv1.3',
  });
});

const seen: Record<TlsFaultKind, string> = {
  expired: 'CERT_HAS_EXPIRED',
  notYetValid: 'CERT_NOT_YET_VALID',
  wrongHost: 'ERR_TLS_CERT_ALTNAME_INVALID',
  selfSigned: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  unknownAuthority: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  incompleteChain: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  // Of an address; for a name, Node falls back to the common name.
  noSubjectAltName: 'ERR_TLS_CERT_ALTNAME_INVALID',
  // The alert arrives while the request is being written.
  oldProtocol: 'EPROTO',
};

test.each(tlsFaultKinds)('%s is switched on and off while it runs', async (kind) => {
  await stage.tls.setFault(kind);
  expect(await ask()).toBe(seen[kind]);
  await stage.tls.heal();
  expect(await ask()).toContain('POST');
});

test('a server with an old protocol alone records the clients that it refuses', async () => {
  await stage.tls.setFault('oldProtocol');
  await ask();
  const handshakes = await stage.tls.handshakes();
  expect(handshakes).toMatchObject([
    { fault: 'oldProtocol', error: 'ERR_SSL_UNSUPPORTED_PROTOCOL' },
  ]);
});

test('a rotated certificate applies to new connections, and present ones continue', async () => {
  const old = await dial();
  const first = old.getPeerCertificate().fingerprint256;
  await echo.tls.rotate();
  const fresh = await dial();
  const second = fresh.getPeerCertificate().fingerprint256;
  expect(second).not.toBe(first);
  await echo.tls.setFault('expired');
  await expect(dial()).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' });
  await echo.tls.rotate();
  await expect(dial()).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' });
  await echo.tls.setFault('oldProtocol');
  await expect(dial()).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  expect(await echoed(old, 'still here')).toBe('still here');
  expect(await echoed(fresh, 'here too')).toBe('here too');
  for (const socket of [old, fresh]) socket.destroy();
});

test('the fault survives a crash', async () => {
  await stage.tls.setFault('wrongHost');
  await stage.tls.kill();
  expect(await ask()).toBe('ECONNREFUSED');
  await stage.tls.start();
  expect(await ask()).toBe(seen.wrongHost);
});

test('the server stops in an orderly way although a client stays connected', async () => {
  const socket = await dial();
  // By FIN or by RST.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  await echo.tls.stop();
  await closed;
  expect(echo.tls.state).toBe('stopped');
});

test('an unknown fault is refused at the call, and every fault while it is down', async () => {
  const { tls }: { tls: { setFault(kind: string): Promise<void> } } = stage;
  await expect(tls.setFault('meteor')).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'fault',
    value: 'meteor',
  });
  await stage.tls.kill();
  await expect(stage.tls.rotate()).rejects.toMatchObject({ code: 'STAGE_STATE', verb: 'rotate' });
});

test.each([
  [{ tls: 'yes' }, 'tls'],
  [{ tls: { hostname: 'a' } }, 'tls.hostname'],
  [{ tls: { hostnames: 'a' } }, 'tls.hostnames'],
  [{ tls: { hostnames: [] } }, 'tls.hostnames'],
  [{ tls: { hostnames: ['a', 'b c'] } }, 'tls.hostnames[1]'],
  [{ tls: { protocol: 'smtp' } }, 'tls.protocol'],
  [{ tls: { fault: 'meteor' } }, 'tls.fault'],
])('the options %j are refused by naming %s', async (options, field) => {
  const wrong: object = options;
  await expect(openStage(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});
