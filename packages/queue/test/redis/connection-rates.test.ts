import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { Redis } from 'ioredis';
import { BackendError } from '../../src/errors.ts';
import { ManagedConnection } from '../../src/redis/connection/managed-connection.ts';
import { SentinelResolver } from '../../src/redis/resolver/sentinel-resolver.ts';
import type { ServerResolver } from '../../src/redis/resolver/server-resolver.ts';

const PING_MS = 1_000;
const MINUTE_MS = 60_000;

/** A connection to a scripted server; counts the commands, the attempts and the questions who the primary is. */
function openConnection(script: { refuses: boolean }) {
  const clock = createFakeClock();
  const seen = { pings: 0, attempts: 0, polls: 0, delaysMs: [] as number[] };
  const resolver: ServerResolver = {
    async createClient() {
      seen.attempts += 1;
      if (script.refuses) throw new BackendError('unreachable', 'refused');
      const client = new Redis({ lazyConnect: true });
      client.connect = () => Promise.resolve();
      client.call = (...command: unknown[]) => {
        if (command[0] === 'PING') seen.pings += 1;
        return Promise.resolve('redis_version:8.0.0');
      };
      return client;
    },
    verify: () => Promise.resolve(),
    async isCurrent() {
      seen.polls += 1;
      return true;
    },
  };
  const connection = new ManagedConnection(resolver, {
    clock,
    random: seededRandom(1),
    commandTimeoutMs: 1_000,
    connectTimeoutMs: 1_500,
    pingIntervalMs: PING_MS,
    onDisk: false,
    reconnect: { initialDelayMs: 25, maxDelayMs: 500 },
  });
  connection.open({
    connected: () => undefined,
    attemptFailed: ({ delayMs }) => void seen.delaysMs.push(delayMs),
    disconnected: () => undefined,
  });
  return { clock, connection, seen };
}

test('an idle connection is probed once per ping interval, and asks as often for the primary', async () => {
  const { clock, connection, seen } = openConnection({ refuses: false });
  await clock.advance(0);
  const { pings } = seen;
  await clock.advance(MINUTE_MS);
  const perMinute = MINUTE_MS / PING_MS;
  expect(seen.pings - pings).toBeLessThanOrEqual(perMinute);
  expect(seen.pings - pings).toBeGreaterThanOrEqual(perMinute / 2);
  expect(seen.polls).toBeLessThanOrEqual(perMinute);
  expect(seen.polls).toBeGreaterThanOrEqual(perMinute / 2);
  await connection.close();
  expect(clock.pendingTimers).toBe(0);
});

test('a connection in use is not probed', async () => {
  const { clock, connection, seen } = openConnection({ refuses: false });
  await clock.advance(0);
  const { pings } = seen;
  for (let elapsedMs = 0; elapsedMs < MINUTE_MS; elapsedMs += PING_MS / 2) {
    await connection.call(async (client) => client.call('GET', 'k'));
    await clock.advance(PING_MS / 2);
  }
  expect(seen.pings - pings).toBe(0);
  await connection.close();
});

test('a server that refuses is tried after 25, 50, ... 500 ms, and never more often than every 375 ms then', async () => {
  const script = { refuses: true };
  const { clock, connection, seen } = openConnection(script);
  await clock.advance(MINUTE_MS);
  // With the jitter of a quarter, at most five attempts come before the ceiling is reached.
  expect(seen.attempts).toBeLessThanOrEqual(5 + MINUTE_MS / 375);
  expect(seen.attempts).toBeGreaterThanOrEqual(MINUTE_MS / 500);
  for (const [index, nominalMs] of [25, 50, 100, 200, 400, 500, 500].entries()) {
    expect(seen.delaysMs[index]).toBeGreaterThanOrEqual(Math.floor(nominalMs * 0.75));
    expect(seen.delaysMs[index]).toBeLessThanOrEqual(Math.min(500, Math.ceil(nominalMs * 1.25)));
  }
  script.refuses = false;
  // The longest wait until it is noticed that the server is back.
  await clock.advance(500);
  expect(connection.isConnected).toBe(true);
  await connection.close();
});

test('however many connections there are, the Sentinels are asked once per ping interval', async () => {
  let asked = 0;
  const sentinel = createServer((socket) => {
    asked += 1;
    socket.on('error', () => undefined).end('-ERR no\r\n');
  });
  sentinel.listen(0, '127.0.0.1');
  await once(sentinel, 'listening');
  const address = sentinel.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const clock = createFakeClock();
  const resolver = new SentinelResolver({
    clock,
    connectTimeoutMs: 1_500,
    pingIntervalMs: PING_MS,
    sentinels: [{ host: '127.0.0.1', port }],
    name: 'main',
    sentinelPassword: undefined,
    natMap: new Map(),
    login: { username: undefined, password: undefined, tls: false },
  });
  const client = new Redis({ lazyConnect: true, host: 'h', port: 1 });
  try {
    for (let interval = 1; interval <= 3; interval += 1) {
      await Promise.all(Array.from({ length: 20 }, () => resolver.isCurrent(client)));
      expect(asked).toBe(interval);
      await clock.advance(PING_MS);
    }
  } finally {
    client.disconnect();
    sentinel.close();
  }
});
