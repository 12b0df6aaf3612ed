import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { systemClock } from '@holdfast/foundation';
import { type RemoteProbe, parseRefs, probeRemote } from '../../src/git/probe-remote.ts';
import { httpServer } from './remote.ts';

const COMMIT = 'a'.repeat(40);
const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;

async function probed(status: number, headers: Record<string, string> = {}): Promise<RemoteProbe> {
  const url = await httpServer((_, response) => response.writeHead(status, headers).end());
  return probeRemote({ url, credential: undefined, timeoutMs: 5_000, clock: systemClock });
}

test('each answer of a remote has its own meaning, and a wait that it asks for is kept', async () => {
  expect(await probed(401)).toEqual({ kind: 'denied', status: 401 });
  expect(await probed(403)).toEqual({ kind: 'denied', status: 403 });
  expect(await probed(404)).toEqual({ kind: 'missing' });
  expect(await probed(429, { 'retry-after': '7' })).toEqual({
    kind: 'rate-limited',
    retryAfterMs: 7_000,
  });
  expect(await probed(503)).toEqual({ kind: 'unavailable', status: 503, retryAfterMs: null });
  expect(await probed(200)).toMatchObject({ kind: 'unreachable' });
});

test('a remote that does not answer is a timeout, not a failed authentication', async () => {
  const clock = createFakeClock();
  const asked = Promise.withResolvers<void>();
  const url = await httpServer(() => asked.resolve());
  const probe = probeRemote({ url, credential: undefined, timeoutMs: 3_000, clock });
  await asked.promise;
  await clock.advance(3_000);
  expect(await probe).toEqual({ kind: 'timeout' });
});

test('refs are read from an advertisement, and from nothing else', () => {
  const body = `${line('# service=git-receive-pack\n')}0000${line(`${COMMIT} refs/heads/main\0caps\n`)}0000`;
  expect(parseRefs(Buffer.from(body))).toEqual(new Map([['refs/heads/main', COMMIT]]));
  expect(parseRefs(Buffer.from('<html>'))).toBeUndefined();
  expect(parseRefs(Buffer.from(body.slice(0, -20)))).toBeUndefined();
});
