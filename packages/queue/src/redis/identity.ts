import type { RedisConnector } from './connector.ts';
import { type RedisServer, databaseOf } from './server-options.ts';

/** A function that creates clients is a server of its own: where its clients connect is not known before. */
const connectors = new WeakMap<RedisConnector, number>();
let lastConnector = 0;

/** Names the server by how it is reached, without credentials: the same for all queues that are given the same. */
export function identityOf(server: RedisServer, prefix: string): string {
  return JSON.stringify([prefix, ...addressOf(server)]);
}

function addressOf(server: RedisServer): (string | number)[] {
  if (server.kind === 'url') {
    return [new URL(server.url).host, databaseOf(server.url) ?? 0];
  }
  if (server.kind === 'connect') return ['connect', numberOf(server.connect)];
  const nodes = server.kind === 'sentinel' ? server.sentinels : server.nodes;
  const name = server.kind === 'sentinel' ? server.name : 'cluster';
  return [name, ...nodes.map(({ host, port }) => `${host}:${port}`).toSorted()];
}

function numberOf(connect: RedisConnector): number {
  const known = connectors.get(connect);
  if (known !== undefined) return known;
  lastConnector += 1;
  connectors.set(connect, lastConnector);
  return lastConnector;
}
