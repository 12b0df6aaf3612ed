import { gzipSync } from 'node:zlib';
import { type Timer, systemClock } from '@holdfast/foundation';
import { createResilientFetch } from '@holdfast/network';
import { openRawServer, whole } from './raw-server.ts';
import { TestDialer } from './test-dialer.ts';

/** A process of its own, whose memory is its own: reads two bombs, and writes how much memory each took. Run with --expose-gc. */

const boundBytes = 32 * 1_048_576;
const zeros = gzipSync(Buffer.alloc(128 * 1_048_576));
const chained = gzipSync(zeros);
const server = await openRawServer((socket, { path }) => {
  const isChained = path === '/chained';
  const headers = { 'content-encoding': isChained ? 'gzip, gzip' : 'gzip' };
  socket.write(whole(path === '/warm' ? gzipSync('warm') : isChained ? chained : zeros, headers));
});
const resilientFetch = createResilientFetch({ dialer: new TestDialer(), maxBodyBytes: boundBytes });
const read = async (path: string): Promise<unknown> =>
  resilientFetch(`${server.url}${path}`)
    .then((response) => response.arrayBuffer())
    .then(
      () => 'whole',
      (error: { code?: unknown }) => error.code,
    );

await read('warm');
const grownBytes: number[] = [];
const code: unknown[] = [];
for (const path of ['plain', 'chained']) {
  // What the last one has left is not of this one.
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  let most = before;
  let timer: Timer | undefined;
  const watch = (): void => {
    most = Math.max(most, process.memoryUsage.rss());
    timer = systemClock.schedule(1, watch);
  };
  watch();
  code.push(await read(path));
  timer?.cancel();
  grownBytes.push(Math.max(most, process.memoryUsage.rss()) - before);
}
await resilientFetch.close();
await server.close();
process.stdout.write(JSON.stringify({ boundBytes, grownBytes, code }));
