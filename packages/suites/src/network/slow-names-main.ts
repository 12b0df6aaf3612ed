/**
 * Runs in a namespace of its own whose resolv.conf names 127.0.0.1: asks for some slow names, and then for a quick one, by
 * `dns.lookup` and by the resolver. Prints how long the quick one took by each.
 */
import { lookup } from 'node:dns/promises';
import { systemClock } from '@holdfast/foundation';
import { createResolver } from '@holdfast/network';
import { openStormServer } from './storm-server.ts';

const DNS_PORT = 53;
const [delay = '1000', count = '4'] = process.argv.slice(2);

const server = await openStormServer(
  (name) =>
    name.startsWith('slow')
      ? { kind: 'late', address: '127.0.0.9', delayMs: Number(delay) }
      : { kind: 'address', address: '127.0.0.8' },
  DNS_PORT,
);
const resolver = createResolver();

async function quickAfterSlow(
  ask: (name: string) => Promise<unknown>,
  label: string,
): Promise<number> {
  const names = Array.from({ length: Number(count) }, (_, at) => `slow-${label}-${at}.test`);
  const slow = Promise.allSettled(names.map(ask));
  const startMs = systemClock.now();
  await ask(`quick-${label}.test`);
  const tookMs = systemClock.now() - startMs;
  await slow;
  return tookMs;
}

const lookupMs = await quickAfterSlow((name) => lookup(name, { family: 4 }), 'lookup');
const resolverMs = await quickAfterSlow((name) => resolver.resolve(name, { family: 4 }), 'own');
process.stdout.write(JSON.stringify({ lookupMs, resolverMs }));
await resolver.close();
await server.close();
