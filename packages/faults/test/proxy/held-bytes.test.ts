import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from '@jest/globals';
import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { closeAfterTest } from '../close-after-test.ts';
import { type Bench, openBench, quiet, read, settled } from '../servers.ts';

const MIB = 1 << 20;
setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');
let bench: Bench | undefined;
afterEach(() => bench?.close());

/** Random-looking bytes, so that an order that is wrong is seen. */
const payload = (length: number): Buffer => {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0, state = 1; at < length; at += 1) {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    bytes[at] = state >> 16;
  }
  return bytes;
};

/** Writes as much as the peer takes, and stops when nothing moves. */
function flood(socket: Socket, bytes: Buffer, totalBytes: number): void {
  let leftBytes = totalBytes;
  const more = (): void => {
    while (leftBytes > 0 && !socket.destroyed) {
      leftBytes -= bytes.length;
      if (!socket.write(bytes)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
}

/** Heap and buffers after a collection, in MiB. */
async function usedMib(): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < 5; round += 1) {
    if (typeof collect === 'function') collect();
    await quiet();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, (heapUsed + arrayBuffers) / MIB);
  }
  return least;
}

const holding: [string, (proxy: FaultProxy) => void, number][] = [
  [
    'slices of a byte behind a long delay',
    ({ faults }) => faults.set('slice', { sliceBytes: 1, delayMs: 3_600_000 }),
    65_536,
  ],
  [
    'slices of a byte behind latency',
    ({ faults }) => {
      faults.set('slice', { sliceBytes: 1 });
      faults.set('latency', { latencyMs: 3_600_000, jitterMs: 10 });
    },
    65_536,
  ],
  [
    'slices of a byte behind a bandwidth of a byte',
    ({ faults }) => {
      faults.set('slice', { sliceBytes: 1 });
      faults.set('bandwidth', { bytesPerSecond: 1 });
    },
    65_536,
  ],
  ['latency of small writes', ({ faults }) => faults.set('latency', { latencyMs: 3_600_000 }), 1],
  [
    'corruption and latency',
    ({ faults }) => {
      faults.set('corrupt', { byteShare: 1 });
      faults.set('latency', { latencyMs: 3_600_000 });
    },
    4_096,
  ],
];

test.each(holding)(
  '%s hold no more than the bound, objects included',
  async (_, set, writeBytes) => {
    bench = await openBench({ maxBufferedBytes: MIB }, () => {});
    const client = await bench.dial();
    client.setNoDelay(true);
    set(bench.proxy);
    const before = await usedMib();
    flood(client, payload(writeBytes), writeBytes === 1 ? 50_000 : 16 * MIB);
    await settled(() => client.bytesWritten);
    const heldMib = (await usedMib()) - before;
    // The client's own unsent bytes are in this process too: at most one write and what its socket buffers.
    expect(heldMib).toBeLessThan(12);
  },
);

test('many slices of a byte arrive in order, and other work goes on meanwhile', async () => {
  const got: Buffer[] = [];
  bench = await openBench({}, (socket) => void socket.on('data', (bytes) => got.push(bytes)));
  const client = await bench.dial();
  bench.proxy.faults.set('slice', { sliceBytes: 1, direction: 'toServer' });
  const sent = payload(MIB / 16);
  client.write(sent);
  let turns = 0;
  while (got.reduce((sum, bytes) => sum + bytes.length, 0) < sent.length) {
    await new Promise((resolve) => setImmediate(resolve));
    turns += 1;
  }
  expect(Buffer.concat(got).equals(sent)).toBe(true);
  expect(turns).toBeGreaterThan(sent.length / 4_096 / 2);
});

test('a server that does not read leaves the slices with the client', async () => {
  bench = await openBench({ maxBufferedBytes: MIB }, (socket) => void socket.pause());
  const client = await bench.dial();
  bench.proxy.faults.set('slice', { sliceBytes: 64, direction: 'toServer' });
  const before = await usedMib();
  flood(client, payload(65_536), 32 * MIB);
  await settled(() => bench?.proxy.getStats().bytesToServer ?? 0);
  expect((await usedMib()) - before).toBeLessThan(12);
});

test('slices of a varying length, jitter above their delay, and a fault that ends keep every byte in order', async () => {
  bench = await openBench({ maxBufferedBytes: 1_000 });
  const { faults } = bench.proxy;
  const client = await bench.dial();
  faults.set('slice', { sliceBytes: 10, jitterBytes: 9, delayMs: 0.01 });
  faults.set('latency', { latencyMs: 1, jitterMs: 5 });
  faults.set('bandwidth', { bytesPerSecond: 2_000_000 });
  const sent = payload(50_000);
  const answer = read(client, sent.length);
  client.write(sent);
  await settled(() => bench?.proxy.getStats().bytesToServer ?? 0);
  await faults.clear('bandwidth');
  faults.set('corrupt', { byteShare: 1e-9 });
  await faults.clear('slice');
  await bench.proxy.heal();
  expect((await answer).equals(sent)).toBe(true);
});

test.each([
  [10, 10],
  [10, 11],
  [1, 1],
  [1, 1_000_000_000],
])(
  'a length of %i that varies by %i, its whole or more, is refused',
  async (sliceBytes, jitterBytes) => {
    const proxy = closeAfterTest(await createFaultProxy({ target: { port: 9 } }));
    expect(() => proxy.faults.set('slice', { sliceBytes, jitterBytes })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field: 'jitterBytes', value: jitterBytes }),
    );
  },
);
