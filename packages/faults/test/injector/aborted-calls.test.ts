import { once } from 'node:events';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { GetObjectCommand, S3 } from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import { type ChaosFaultInjector, createChaosFaultInjector } from '@holdfast/faults';
import { systemClock } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { closeAfterTest } from '../close-after-test.ts';
import { portOf, quiet } from '../servers.ts';

/** A client of a server that sends the first half of an object, with a checksum that the client watches. */
async function halfObjects(chaos: ChaosFaultInjector): Promise<S3> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-length': '10', 'x-amz-checksum-crc32': 'AAAAAA==' });
    response.write('12345');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const raw = new S3({
    endpoint: `http://127.0.0.1:${portOf(server)}`,
    region: 'here',
    forcePathStyle: true,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
  closeAfterTest({
    [Symbol.asyncDispose]: async () => {
      raw.destroy();
      server.closeAllConnections();
      server.close();
    },
  });
  return chaos.wrapAws(raw);
}

test.each(['network_delay', 'timeout'] as const)(
  'a command of the AWS SDK under %s rejects with its AbortError at once when its signal aborts',
  async (kind) => {
    const chaos = createChaosFaultInjector(true);
    chaos.configureFault(kind, { latencyMs: 5_000 });
    const client = await halfObjects(chaos);
    const caller = new AbortController();
    const reason = new Error('enough');
    systemClock.schedule(100, () => caller.abort(reason));
    const beganMs = performance.now();
    const command = new GetObjectCommand({ Bucket: 'bucket', Key: 'a' });
    await expect(client.send(command, { abortSignal: caller.signal })).rejects.toMatchObject({
      name: 'AbortError',
      cause: reason,
    });
    expect(performance.now() - beganMs).toBeLessThan(3_000);
    // An error of the body that nobody listens to would end the process now.
    await quiet();
  },
);

test.each([
  ['a stream', (body: Readable): unknown => body],
  ['a body', (body: Readable): unknown => ({ Body: body })],
])('a late answer that nobody will read is destroyed at an abort: %s', async (_, answer) => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { clock });
  chaos.configureFault('network_delay', { latencyMs: 1_000 });
  const body = new Readable({ read() {} });
  const caller = new AbortController();
  const { signal } = caller;
  const outcome = chaos.execute(() => answer(body), { signal }).catch((error: unknown) => error);
  await clock.advance(100);
  expect(body.listenerCount('error')).toBe(1);
  const reason = new Error('enough');
  caller.abort(reason);
  expect(await outcome).toBe(reason);
  expect(body.destroyed).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test('a late answer is delivered without the listeners of its wait', async () => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { clock });
  chaos.configureFault('network_delay', { latencyMs: 1_000 });
  const body = new Readable({ read() {} });
  await clock.settle(chaos.execute(() => body, { signal: new AbortController().signal }));
  expect(body.listenerCount('error')).toBe(0);
  expect(body.destroyed).toBe(false);
});

test('the body of a late response to fetch is cancelled at an abort', async () => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { clock });
  chaos.configureFault('network_delay', { latencyMs: 1_000 });
  const cancelled: unknown[] = [];
  const body = new ReadableStream({ cancel: (reason) => void cancelled.push(reason) });
  const caller = new AbortController();
  const faulty = chaos.fetch(async () => new Response(body));
  const reason = new Error('enough');
  const asked = faulty('http://a.invalid/', { signal: caller.signal });
  const outcome = asked.catch((error: unknown) => error);
  await clock.advance(100);
  caller.abort(reason);
  expect(await outcome).toBe(reason);
  expect(cancelled).toEqual([reason]);
});
