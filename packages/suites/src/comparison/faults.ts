import type { FaultProxy } from '@holdfast/faults';
import { sleep, systemClock } from '@holdfast/foundation';
import { type RedisFixture, AOF_NO_FSYNC } from '../redis-fixture.ts';

/** A fault of the Redis of a scored queue. */
export interface ScoredFault {
  readonly name: string;
  readonly settings?: Readonly<Record<string, string>>;
  readonly lastsMs: number;
  /** Whether jobs are handled while the load runs; otherwise only after the fault. */
  readonly hasBacklog?: true;
  inject(fixture: RedisFixture, proxy: FaultProxy): Promise<unknown>;
  recover(fixture: RedisFixture, proxy: FaultProxy): Promise<unknown>;
}

const PASSWORD = 'changed';
const SECOND_MS = 1_000;

const configure = (fixture: RedisFixture, name: string, value: string): Promise<unknown> =>
  fixture.admin((client) => client.config('SET', name, value));

export const scoredFaults: readonly ScoredFault[] = [
  {
    name: 'killed, 3 s',
    settings: AOF_NO_FSYNC,
    lastsMs: 3 * SECOND_MS,
    inject: ({ redis }) => redis.kill(),
    recover: ({ redis }) => redis.start(),
  },
  {
    name: 'killed, 20 s',
    settings: AOF_NO_FSYNC,
    lastsMs: 20 * SECOND_MS,
    inject: ({ redis }) => redis.kill(),
    recover: ({ redis }) => redis.start(),
  },
  {
    name: 'frozen, 5 s',
    lastsMs: 5 * SECOND_MS,
    inject: ({ redis }) => redis.freeze(),
    recover: ({ redis }) => redis.thaw(),
  },
  {
    name: 'black hole, 5 s',
    lastsMs: 5 * SECOND_MS,
    inject: async (_, proxy) => proxy.faults.set('blackhole'),
    recover: (_, proxy) => proxy.heal(),
  },
  {
    name: 'replies lost, then reset',
    lastsMs: SECOND_MS,
    async inject(_, proxy) {
      proxy.faults.set('blackhole', { direction: 'toClient' });
      await sleep(systemClock, SECOND_MS);
      proxy.faults.set('reset');
      await proxy.faults.clear('blackhole');
    },
    recover: (_, proxy) => proxy.heal(),
  },
  {
    name: 'OOM, 2 s',
    settings: { 'maxmemory-policy': 'noeviction' },
    lastsMs: 2 * SECOND_MS,
    inject: (fixture) => configure(fixture, 'maxmemory', '1'),
    recover: (fixture) => configure(fixture, 'maxmemory', '0'),
  },
  {
    name: 'READONLY, 2 s',
    lastsMs: 2 * SECOND_MS,
    inject: ({ admin }) => admin((client) => client.replicaof('127.0.0.1', 1)),
    recover: ({ admin }) => admin((client) => client.replicaof('NO', 'ONE')),
  },
  {
    name: 'MISCONF, 2 s',
    settings: { ...AOF_NO_FSYNC, appenddirname: 'taken', dbfilename: 'taken' },
    lastsMs: 2 * SECOND_MS,
    inject: ({ admin }) =>
      admin(async (client) => {
        await client.config('SET', 'save', '1 1');
        await client.bgsave();
      }),
    recover: (fixture) => configure(fixture, 'save', ''),
  },
  {
    name: 'NOAUTH, 2 s',
    lastsMs: 2 * SECOND_MS,
    inject: ({ admin }) =>
      admin(async (client) => {
        await client.config('SET', 'requirepass', PASSWORD);
        await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      }),
    recover: ({ admin }) => admin((client) => client.config('SET', 'requirepass', ''), PASSWORD),
  },
  {
    name: 'killed with a backlog, nothing kept',
    lastsMs: 2 * SECOND_MS,
    hasBacklog: true,
    inject: ({ redis }) => redis.kill(),
    recover: ({ redis }) => redis.start(),
  },
];
