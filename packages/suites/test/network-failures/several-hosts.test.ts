import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import {
  type Balancer,
  type RouteNode,
  createBalancer,
  createResilientFetch,
} from '@holdfast/network';
import { type RawServer, openRawServer, whole } from '../../src/fetch/raw-server.ts';
import { type NameServersFixture, a, openNameServers } from '../../src/network/name-servers.ts';
import { waitUntil } from '../../src/wait-until.ts';

const NAME = 'api.test';
const HOSTS = ['127.0.0.2', '127.0.0.3', '127.0.0.4'] as const;
const [FIRST, SECOND, THIRD] = HOSTS;

let names: NameServersFixture;
beforeAll(async () => {
  names = await openNameServers();
});
afterAll(() => names.close());

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close();
  await names.reset();
});

type Answer = (socket: Socket) => void;

interface Hosts {
  /** What each host answers from now on; at first its address. */
  readonly answers: Map<string, Answer>;
  readonly servers: Map<string, RawServer>;
  get(path: string): Promise<{ status: number; body: string }>;
  readonly balancer: Balancer;
}

/** Three servers at one port, of which a name leads to some, and the recipe over them. */
async function openHosts(...addresses: readonly string[]): Promise<Hosts> {
  const answers = new Map<string, Answer>();
  const servers = new Map<string, RawServer>();
  let port = 0;
  for (const host of HOSTS) {
    answers.set(host, (socket) => socket.write(whole(host)));
    const server = await openRawServer((socket) => answers.get(host)?.(socket), host, port);
    port = server.port;
    servers.set(host, server);
    opened.push(server);
  }
  await names.serve(...addresses.map((address) => a(NAME, address, 1)));

  const resolver = names.resolver();
  const fetch = createResilientFetch({
    resolver,
    allowPrivate: ['127.0.0.0/8'],
    retry: { maxAttempts: 1 },
    circuitBreaker: false,
  });
  const balancer = createBalancer<RouteNode>({
    nodes: [],
    attemptTimeoutMs: 1_000,
    timeoutMs: 20_000,
  });
  opened.push(fetch, balancer);
  await balancer.follow(resolver, {
    hostname: NAME,
    nodeOf: (address) => ({ id: `${address}:${port}` }),
  });
  const get: Hosts['get'] = (path) =>
    balancer.run(
      async ({ id }, attempt) => {
        const response = await fetch(`http://${id}${path}`, { signal: attempt.signal });
        return { status: response.status, body: await response.text() };
      },
      { idempotent: true },
    );
  return { answers, servers, get, balancer };
}

async function bodiesOf(hosts: Hosts, calls: number): Promise<string[]> {
  const answers = await Promise.all(Array.from({ length: calls }, () => hosts.get('/')));
  return answers.map(({ body }) => body);
}

test.each<[string, Answer]>([
  ['resets', (socket) => socket.resetAndDestroy()],
  ['hangs', () => {}],
  ['answers 503', (socket) => socket.write(whole('no', {}, '503 Service Unavailable'))],
  [
    'breaks its bodies off',
    (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'),
  ],
])('several hosts of one API: no call fails while one of them %s', async (_, answer) => {
  const hosts = await openHosts(FIRST, SECOND, THIRD);
  expect(new Set(await bodiesOf(hosts, 60))).toEqual(new Set(HOSTS));
  hosts.answers.set(FIRST, answer);
  const during: string[] = [];
  await waitUntil(async () => {
    during.push(...(await bodiesOf(hosts, 10)));
    return hosts.balancer.getStats().ejections > 0;
  });
  expect(new Set(during)).toEqual(new Set([SECOND, THIRD]));
});

test('a name that moves adds and drains hosts: new calls go where it leads, and those in flight end', async () => {
  const hosts = await openHosts(FIRST, SECOND);
  expect(new Set(await bodiesOf(hosts, 40))).toEqual(new Set([FIRST, SECOND]));
  const arrived = Promise.withResolvers<Socket>();
  hosts.answers.set(FIRST, arrived.resolve);
  hosts.answers.set(SECOND, (socket) => socket.write(whole('quick')));
  const lease = hosts.balancer.pick({ exclude: [idOf(hosts, SECOND)] });
  const slow = fetch(`http://${lease.node.id}/`).then((response) => response.text());
  const inFlight = await arrived.promise;
  await names.serve(a(NAME, SECOND, 1), a(NAME, THIRD, 1));
  await waitUntil(() => {
    const ids = new Set(hosts.balancer.getStats().nodes.map(({ id }) => id));
    return ids.has(idOf(hosts, THIRD)) && !ids.has(idOf(hosts, FIRST));
  });
  expect(new Set(await bodiesOf(hosts, 40))).toEqual(new Set(['quick', THIRD]));
  inFlight.write(whole('in flight'));
  expect(await slow).toBe('in flight');
  lease.settle('success');
});

test('the hosts stay as they are while the name servers fail', async () => {
  const hosts = await openHosts(FIRST, SECOND);
  await Promise.all([names.one, names.other].map((server) => server.kill()));
  // Two times to live.
  const untilMs = performance.now() + 2_000;
  await waitUntil(async () => {
    expect(HOSTS).toContain((await hosts.get('/')).body);
    return performance.now() > untilMs;
  });
  expect(hosts.balancer.getStats().nodes).toHaveLength(2);
});

function idOf(hosts: Hosts, host: string): string {
  return `${host}:${hosts.servers.get(host)?.port}`;
}
