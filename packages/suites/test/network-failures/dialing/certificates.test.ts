import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type TlsFaultKind, tlsFaultKinds } from '@holdfast/faults';
import { nextEvent, systemClock } from '@holdfast/foundation';
import {
  type DialOptions,
  type DialTarget,
  type DialedConnection,
  type DialerOptions,
  type ManagedDialer,
  type TlsPolicy,
  type TlsRefusal,
  TlsRefusedError,
  createDialer,
} from '@holdfast/network';
import { type Stage, openStage } from '@holdfast/stage';
import { waitUntil } from '../../../src/wait-until.ts';

let stage: Stage<{ tls: true }>;
let other: Stage<{ tls: true }>;
const opened: (() => unknown)[] = [];

beforeAll(async () => {
  [stage, other] = await Promise.all([
    openStage({ mode: 'local', tls: true }),
    openStage({ mode: 'local', tls: true }),
  ]);
});
afterAll(() => Promise.all([stage.close(), other.close()]));
beforeEach(async () => {
  await stage.tls.heal();
  await stage.tls.rotate();
  await stage.tls.forgetHandshakes();
});
afterEach(() => Promise.all(opened.splice(0).map((close) => close())));

function dialerWith(tls: TlsPolicy = {}, options: DialerOptions = {}): ManagedDialer {
  const ca = [stage.tls.ca, other.tls.ca];
  const dialer = createDialer({ allowPrivate: true, family: 4, ...options, tls: { ca, ...tls } });
  opened.push(() => dialer.close());
  return dialer;
}

function target({ tls }: Stage<{ tls: true }> = stage): DialTarget {
  return { hostname: 'localhost', port: tls.port, secure: true };
}

async function dial(
  dialer: ManagedDialer,
  to: DialTarget = target(),
  options: DialOptions = {},
): Promise<DialedConnection> {
  const connection = await dialer.dial(to, options);
  opened.push(() => connection.socket.destroy());
  return connection;
}

/** Waits for the ticket of TLS 1.3, which follows the handshake. */
async function dialForSession(dialer: ManagedDialer): Promise<DialedConnection> {
  const connection = await dial(dialer);
  await waitUntil(() => dialer.getStats().sessions === 1);
  return connection;
}

async function refusalOf(work: Promise<unknown>): Promise<TlsRefusedError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof TlsRefusedError) return error;
  throw new Error(`not refused, but ${String(error)}`);
}

const kinds: Record<TlsFaultKind, TlsRefusal> = {
  expired: 'expired',
  notYetValid: 'notYetValid',
  wrongHost: 'wrongHost',
  selfSigned: 'selfSigned',
  unknownAuthority: 'unknownCa',
  incompleteChain: 'incompleteChain',
  noSubjectAltName: 'noSubjectAltName',
  oldProtocol: 'oldProtocol',
};

test.each(tlsFaultKinds)(
  'a server with the fault %s is refused as that, and not retried',
  async (fault) => {
    const dialer = dialerWith();
    await stage.tls.setFault(fault);
    const error = await refusalOf(dial(dialer));
    expect(error).toMatchObject({
      kind: kinds[fault],
      hostname: 'localhost',
      endpoint: `127.0.0.1:${stage.tls.port}`,
      retryable: false,
      outcome: 'not-applied',
      policy: 'refuse',
    });
    expect(dialer.getStats()).toMatchObject({
      attempts: 1,
      tlsRefused: 1,
      connected: 0,
      sessions: 0,
    });
    // The refusal is not remembered: the healed server is used at once.
    await stage.tls.heal();
    expect((await dial(dialer)).resumed).toBe(false);
  },
);

test('Network Resilience Certificate validation handles expired certificates gracefully', async () => {
  await stage.tls.setFault('expired');
  const refused: TlsRefusedError[] = [];
  const dialer = dialerWith({ onRefused: 'alternate' });
  dialer.on('refused', ({ error }) => refused.push(error));
  // Uses the alternative, and says so.
  const { alternate, socket } = await dial(dialer, target(), { alternates: [target(other)] });
  expect(alternate).toEqual(target(other));
  expect(socket.remotePort).toBe(other.tls.port);
  expect(refused).toMatchObject([
    { kind: 'expired', tlsCode: 'CERT_HAS_EXPIRED', policy: 'alternate' },
  ]);
  expect(refused[0]?.validToMs).toBeLessThan(systemClock.epochMs());
  // Throws where there is none; the policy `refuse` does not look for one.
  expect((await refusalOf(dial(dialer))).kind).toBe('expired');
  const strict = dial(dialerWith(), target(), { alternates: [target(other)] });
  expect((await refusalOf(strict)).policy).toBe('refuse');
});

test('an alternate is verified like any other server', async () => {
  await stage.tls.setFault('expired');
  await other.tls.setFault('selfSigned');
  try {
    const dialer = dialerWith({ onRefused: 'alternate' });
    const error = await refusalOf(dial(dialer, target(), { alternates: [target(other)] }));
    expect(error.kind).toBe('expired');
    expect(dialer.getStats()).toMatchObject({ connected: 0, tlsRefused: 2 });
  } finally {
    await other.tls.heal();
  }
});

test('a missing intermediate is told from an unknown authority by one that another server sent', async () => {
  const dialer = dialerWith({ maxSessions: 0 });
  await stage.tls.rotate({ intermediate: true });
  expect((await dial(dialer)).resumed).toBe(false);
  await stage.tls.setFault('unknownAuthority');
  expect(await refusalOf(dial(dialer))).toMatchObject({
    kind: 'unknownCa',
    tlsCode: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  });
  await stage.tls.setFault('incompleteChain');
  expect(await refusalOf(dial(dialer))).toMatchObject({
    kind: 'incompleteChain',
    tlsCode: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    issuer: expect.stringContaining('intermediate'),
  });
});

test('a session is resumed while its certificate is good', async () => {
  const dialer = dialerWith();
  const { validToMs } = await dialForSession(dialer);
  expect(await dial(dialer)).toMatchObject({ resumed: true, validToMs });
  await waitUntil(async () => (await stage.tls.handshakes()).at(-1)?.resumed === true);
});

test('an expired certificate passes neither by a resumed session nor by a kept connection', async () => {
  await stage.tls.rotate({ validForMs: 4_000 });
  const dialer = dialerWith({ drainMs: 300 });
  const expired = nextEvent(dialer, 'expired');
  const { socket, validToMs } = await dialForSession(dialer);
  expect((await dial(dialer)).resumed).toBe(true);
  const failure = once(socket, 'error');
  const event = await expired;
  expect(event).toMatchObject({ hostname: 'localhost', validToMs });
  expect(event.sockets).toContain(socket);
  expect(dialer.getStats().sessions).toBe(0);
  // Drained: the owner had the time to finish what was in progress.
  expect(await failure).toMatchObject([{ kind: 'expired' }]);
  expect(await refusalOf(dial(dialer))).toMatchObject({ kind: 'expired' });
});

test('a pin is kept with the session, and a key that is not pinned is refused', async () => {
  const keys = ['A'.repeat(43), 'B'.repeat(43)].map((digest) => `sha256/${digest}=`);
  const dialer = dialerWith({ pins: { localhost: keys } });
  expect(await refusalOf(dial(dialer))).toMatchObject({ kind: 'pinMismatch' });
  expect(dialer.getStats().sessions).toBe(0);
});

test('a revoked certificate is refused, also by a resumed session and on a kept connection', async () => {
  const dialer = dialerWith({ crls: [stage.tls.crl()] });
  const { socket } = await dialForSession(dialer);
  expect((await dial(dialer)).resumed).toBe(true);
  const failure = once(socket, 'error');
  stage.tls.revoke();
  dialer.replaceCrls([stage.tls.crl()]);
  expect(await failure).toMatchObject([{ kind: 'revoked' }]);
  expect(await refusalOf(dial(dialer))).toMatchObject({ kind: 'revoked', policy: 'refuse' });
  await stage.tls.rotate();
  expect((await dial(dialer)).resumed).toBe(false);
});

test('a stale list refuses with its own kind, and by policy is used with a warning', async () => {
  const crls = [stage.tls.crl({ stale: true })];
  expect(await refusalOf(dial(dialerWith({ crls })))).toMatchObject({ kind: 'crlStale' });
  const lenient = dialerWith({ crls, crlStale: 'accept-and-warn' });
  const warned = nextEvent(lenient, 'crl-stale');
  await dial(lenient);
  expect((await warned).nextUpdateMs).toBeLessThan(systemClock.epochMs());
  // What it revokes stays revoked.
  stage.tls.revoke();
  lenient.replaceCrls([stage.tls.crl({ stale: true })]);
  expect(await refusalOf(dial(lenient))).toMatchObject({ kind: 'revoked' });
});

test('a list in DER serves as one in PEM, and lists of other authorities change nothing', async () => {
  stage.tls.revoke();
  const base64 = stage.tls.crl().replaceAll(/-----[^-]+-----|\s/g, '');
  const der = Buffer.from(base64, 'base64');
  expect(await refusalOf(dial(dialerWith({ crls: [der] })))).toMatchObject({ kind: 'revoked' });
  expect((await dial(dialerWith({ crls: [other.tls.crl()] }))).resumed).toBe(false);
});

test('a certificate that ends soon is announced while it is good', async () => {
  await stage.tls.rotate({ validForMs: 6 * 86_400_000 });
  const dialer = dialerWith();
  const expiring = nextEvent(dialer, 'expiring');
  const { validToMs } = await dial(dialer);
  expect(await expiring).toEqual({ hostname: 'localhost', validToMs, daysLeft: 7 });
});

test('turning verification off is refused in words', () => {
  const given: object = { rejectUnauthorized: false };
  expect(() => createDialer({ tls: given })).toThrow(/tls\.rejectUnauthorized must be left out/);
});
