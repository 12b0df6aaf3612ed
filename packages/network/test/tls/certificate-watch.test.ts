import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { TLSSocket } from 'node:tls';
import { Duplex } from 'node:stream';
import { beforeEach, expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { writeCertificate } from '@holdfast/protocols/x509';
import type { CertificateExpired, CertificateExpiring } from '../../src/tls/events.ts';
import { CertificateWatch } from '../../src/tls/certificate-watch.ts';
import type { Chain } from '../../src/tls/presented-chain.ts';

const DAY_MS = 86_400_000;
let clock: FakeClock;
let watch: CertificateWatch;
let warnings: CertificateExpiring[];
let ends: CertificateExpired[];
beforeEach(() => {
  clock = createFakeClock(Date.UTC(2030, 0, 1));
  warnings = [];
  ends = [];
  watch = new CertificateWatch({
    clock,
    warnDays: [1, 21, 7],
    drainMs: 5_000,
    expiring: (event) => void warnings.push(event),
    expired: (event) => void ends.push(event),
  });
});

const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

/** The chain of a server's certificate and its issuer, with the days until each ends. */
function chainWith(...days: readonly number[]): Chain {
  const self = { commonName: 'a.test', publicKey: keys.publicKey };
  return days.map(
    (left) =>
      new X509Certificate(
        writeCertificate(
          {
            serial: Buffer.from([1]),
            subject: self,
            issuer: self,
            validFromMs: clock.epochMs() - DAY_MS,
            validToMs: clock.epochMs() + left * DAY_MS,
            role: 'authority',
          },
          keys.privateKey,
        ),
      ),
  );
}

function socket(): TLSSocket {
  return new TLSSocket(new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }));
}

const daysLeft = (): number[] => warnings.map((warning) => warning.daysLeft);

test('a kept connection is warned of 21, 7 and 1 days before the end, once each', async () => {
  const chain = chainWith(30);
  watch.add('a.test', chain, socket());
  expect(warnings).toEqual([]);
  await clock.advance(9 * DAY_MS);
  expect(daysLeft()).toEqual([21]);
  watch.add('a.test', chain, socket());
  await clock.advance(14 * DAY_MS);
  expect(daysLeft()).toEqual([21, 7]);
  await clock.advance(6 * DAY_MS);
  expect(daysLeft()).toEqual([21, 7, 1]);
});

test('of several marks that have passed, the nearest is said', () => {
  watch.add('a.test', chainWith(0.5), socket());
  expect(warnings).toMatchObject([{ hostname: 'a.test', daysLeft: 1 }]);
});

test('the first end in the chain counts, whosever it is', async () => {
  watch.add('a.test', chainWith(300, 10), socket());
  await clock.advance(10 * DAY_MS);
  expect(ends).toHaveLength(1);
});

test('at the end the connections are named, and those that are left are destroyed after the drain', async () => {
  const [kept, closed] = [socket(), socket()];
  const chain = chainWith(1);
  watch.add('a.test', chain, kept);
  watch.add('a.test', chain, closed);
  expect(watch.openSockets).toBe(2);
  const isClosed = EventEmitter.once(closed, 'close');
  closed.destroy();
  await isClosed;
  expect(watch.openSockets).toBe(1);
  await clock.advance(DAY_MS);
  expect(ends).toMatchObject([{ hostname: 'a.test', sockets: [kept] }]);
  await clock.advance(4_999);
  expect(kept.destroyed).toBe(false);
  await clock.advance(1);
  expect(kept.destroyed).toBe(true);
});

test('a step of the wall clock is noticed within an hour', async () => {
  watch.add('a.test', chainWith(30), socket());
  clock.stepWallClock(60 * DAY_MS);
  await clock.advance(3_600_000);
  expect(ends).toHaveLength(1);
});

test('a closed watch leaves the connections alone and no timer', async () => {
  const open = socket();
  watch.add('a.test', chainWith(1), open);
  watch.close();
  await clock.advance(30 * DAY_MS);
  expect(open.destroyed).toBe(false);
  expect(ends).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

test('many certificates take bounded memory', () => {
  for (let index = 0; index < 1_100; index += 1) {
    const open = socket();
    watch.add(`${index}.test`, [], open);
    open.emit('close');
  }
  expect(watch.openSockets).toBe(0);
  expect(clock.pendingTimers).toBeLessThanOrEqual(1_001);
});
