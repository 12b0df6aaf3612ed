/**
 * A name that is known, beside a peer in one process: CPU time of `lookup` and `resolve` by the resolver and by
 * cacheable-lookup, and how many queries a hundred callers of one cold name cost. Exits with 1 when a figure is over its
 * bar.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import CacheableLookup from 'cacheable-lookup';
import { createResolver } from '@holdfast/network';
import { decodeMessage, encodeMessage, toResource } from '@holdfast/protocols/dns';
import { type Contender, inTurns } from './measuring/rounds.ts';

const CALLS = 200_000;
/** Calls between two turns of the event loop. */
const BATCH = 1_000;
const ROUNDS = 9;
const NAMES = 100;
const HIT_BAR_NS = 250;

const family = 4;
const names = Array.from({ length: NAMES }, (_, at) => `service-${at}.test`);
let queries = 0;

const server = createSocket('udp4');
server.on('message', (bytes, from) => {
  queries += 1;
  const query = decodeMessage(bytes);
  const [{ name } = { name: '' }] = query.questions;
  const answers = ['10.0.0.1', '10.0.0.2'].map((address) =>
    toResource({ type: 'A', name, address, ttlSeconds: 3_600 }),
  );
  const response = encodeMessage({ ...query, isResponse: true, additionals: [], answers });
  server.send(response, from.port, from.address);
});
server.bind(0, '127.0.0.1');
await once(server, 'listening');
const nameserver = `127.0.0.1:${server.address().port}`;

const resolver = createResolver({ nameservers: [nameserver], hostsFile: false });
const peer = new CacheableLookup();
peer.servers = [nameserver];

await Promise.all(Array.from({ length: 100 }, () => resolver.resolve('cold.test', { family })));
const coldQueries = queries;
await Promise.all(names.map((name) => resolver.resolve(name, { family })));
await Promise.all(names.map((name) => peer.lookupAsync(name, { family })));

type Lookup = (
  name: string,
  options: { readonly family: 4 },
  done: (error: Error | null) => void,
) => void;

/** CPU nanoseconds of one call. */
function timed(
  name: string,
  batch: (calls: readonly string[]) => Promise<unknown>,
): Contender<number> {
  const calls = Array.from({ length: BATCH }, (_, at) => names[at % NAMES] ?? '');
  return {
    name,
    async round() {
      const before = process.cpuUsage();
      for (let done = 0; done < CALLS; done += BATCH) await batch(calls);
      const { user, system } = process.cpuUsage(before);
      return ((user + system) * 1_000) / CALLS;
    },
  };
}

function byLookup(name: string, lookup: Lookup): Contender<number> {
  const options = { family } as const;
  return timed(
    name,
    (calls) =>
      new Promise<void>((resolve) => {
        let left = calls.length;
        const done = (): void => {
          left -= 1;
          if (left === 0) resolve();
        };
        for (const call of calls) lookup(call, options, done);
      }),
  );
}

const options = { family } as const;
const contenders = [
  byLookup('lookup, Holdfast', (name, given, done) => resolver.lookup(name, given, done)),
  byLookup('lookup, cacheable-lookup', (name, given, done) => peer.lookup(name, given, done)),
  timed('resolve, Holdfast', async (calls) => {
    for (const call of calls) await resolver.resolve(call, options);
  }),
];
const finished = await inTurns(contenders, ROUNDS);
/** Of the rounds the one that other processes disturbed least. */
const least = (name: string): number =>
  Math.min(...finished.map((round) => round.get(name) ?? Number.NaN));

for (const { name } of contenders) console.log(`${name}: ${least(name).toFixed(0)} ns of CPU`);
console.log(`a hundred callers of one cold name: ${coldQueries} query`);
const ratio = least('lookup, Holdfast') / least('lookup, cacheable-lookup');
console.log(`lookup: ${ratio.toFixed(2)} of cacheable-lookup's`);
const isOver =
  least('lookup, Holdfast') > HIT_BAR_NS ||
  least('resolve, Holdfast') > HIT_BAR_NS ||
  coldQueries !== 1;
await resolver.close();
server.close();
process.exitCode = isOver ? 1 : 0;
