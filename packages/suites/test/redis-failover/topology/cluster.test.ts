import { expect } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { directClient } from '../../../src/redis-fixture.ts';
import { withClient } from '../../../src/queue-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';
import { TOPIC, runOutage } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';
import { type ClusterFixture, openClusterFixture } from '../../../src/topologies.ts';
import type { ServerHandle } from '@holdfast/stage';

const FAMILY = 'redis-failover';

function slotOf({ redis }: ClusterFixture): number {
  return redis.keySlot(`{${TOPIC}}`);
}

scenario(
  FAMILY,
  {
    promise:
      'a Cluster keeps every job and their order when the primary of the topic’s slot is killed',
    fault: 'Cluster: kill -9 of the slot’s primary under load',
  },
  async (field) => {
    const { redis } = field;
    const slot = slotOf(field);
    const former = await redis.primaryOfSlot(slot);
    return runOutage(field, {
      inject: () => former.kill(),
      lastsMs: 0,
      recover: () => waitUntil(async () => (await redis.primaryOfSlot(slot)) !== former),
      during: (queue) => expect(queue.health()).toMatchObject({ level: 'degraded' }),
    });
  },
  openClusterFixture,
);

async function say(node: ServerHandle, ...words: [string, ...string[]]): Promise<unknown> {
  const [name, ...rest] = words;
  return withClient(directClient(node.url), (client) => client.call(name, ...rest));
}

async function idOf(node: ServerHandle): Promise<string> {
  return String(await say(node, 'CLUSTER', 'MYID'));
}

scenario(
  FAMILY,
  {
    promise: 'a topic whose slot moves to another node under load keeps every job and their order',
    fault: 'Cluster: slot migrated key by key under load',
  },
  async (field) => {
    const { redis } = field;
    const slot = String(slotOf(field));
    const from = await redis.primaryOfSlot(Number(slot));
    const to = redis.nodes.slice(0, 3).find((node) => node !== from);
    if (to === undefined) throw new Error('no other primary');
    const [fromId, toId] = await Promise.all([idOf(from), idOf(to)]);
    const migrateKeys = async (): Promise<boolean> => {
      const keys = await say(from, 'CLUSTER', 'GETKEYSINSLOT', slot, '1');
      const [key] = Array.isArray(keys) ? keys.map(String) : [];
      if (key === undefined) return true;
      await say(from, 'MIGRATE', to.host, String(to.port), key, '0', '5000');
      return false;
    };
    return runOutage(field, {
      inject: async (_, queue) => {
        const noticed = nextEvent(queue, 'state', { matches: ({ to: next }) => next !== 'direct' });
        await say(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
        await say(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
        await migrateKeys();
        await noticed;
      },
      lastsMs: 500,
      recover: async () => {
        await waitUntil(migrateKeys);
        for (const node of [to, from]) await say(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId);
      },
    });
  },
  openClusterFixture,
);
