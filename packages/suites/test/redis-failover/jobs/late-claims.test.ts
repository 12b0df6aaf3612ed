import { afterEach, expect, test } from '@jest/globals';
import type { RedisConnector } from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/foundation';
import { Redis } from 'ioredis';
import { TOPIC } from '../../../src/outage.ts';
import { AOF_NO_FSYNC, type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const LEASE_MS = 1_200;
const OUTAGE_MS = 1_500;
/** Longer than a lease: a new consumer may take jobs over after it. */
const WATCHED_MS = 1_600;
const JOBS = 10;
/** Longer than the outage and two leases. */
const JOB_MS = 5_000;

type Command = Parameters<ReturnType<RedisConnector>['call']>;

/** The link of one consumer: while it is cut, commands lie in a buffer between the consumer and Redis. */
class Link {
  readonly held: Command[] = [];
  readonly connect: RedisConnector;
  #isCut = false;

  constructor(url: string) {
    this.connect = (required) => {
      const client: ReturnType<RedisConnector> = new Redis(url, required);
      const connect = client.connect.bind(client);
      client.connect = async () => {
        if (this.#isCut) throw new Error('connect ECONNREFUSED');
        return connect();
      };
      const call = client.call.bind(client);
      client.call = (...command) => {
        if (!this.#isCut) return call(...command);
        this.held.push(command);
        return new Promise(() => undefined);
      };
      return client;
    };
  }

  cut(): void {
    this.#isCut = true;
  }

  heal(): void {
    this.#isCut = false;
  }
}

let fixture: RedisFixture | undefined;

afterEach(async () => fixture?.close());

/** How often each job was started by the consumers that count with it. */
type Runs = Map<unknown, number>;

async function openField(): Promise<{
  readonly runs: Runs;
  /** A consumer whose link can be cut. */
  readonly consumer: (topic: string, jobMs: number, concurrency?: number) => Link;
  readonly enqueue: (topic: string, payloads: readonly unknown[]) => Promise<void>;
  readonly opened: RedisFixture;
}> {
  const opened = await openRedisFixture(AOF_NO_FSYNC);
  fixture = opened;
  const runs: Runs = new Map();
  const producer = opened.queue({ fallback: 'memory' });
  return {
    runs,
    opened,
    async enqueue(topic, payloads) {
      await producer.enqueueMany(
        topic,
        payloads.map((payload) => ({ payload })),
      );
    },
    consumer(topic, jobMs, concurrency = JOBS) {
      const link = new Link(opened.redis.url);
      const queue = opened.queue({ redis: { connect: link.connect }, fallback: 'memory' });
      queue.process(
        topic,
        async ({ payload }) => {
          runs.set(payload, (runs.get(payload) ?? 0) + 1);
          await sleep(systemClock, jobMs);
        },
        // With a limit, no job is fetched before a slot is free.
        { leaseMs: LEASE_MS, concurrency, maxPerSecond: 1_000 },
      );
      return link;
    },
  };
}

const numbers = Array.from({ length: JOBS }, (_, number) => number);

function doubled(runs: Runs): unknown[] {
  return [...runs].filter(([, times]) => times > 1);
}

test.each([
  ['and nobody else asks', false],
  ['while a third one is busy', true],
])('a claim that Redis executes after an outage takes nothing over, %s', async (_, isThirdBusy) => {
  const { runs, opened, consumer, enqueue } = await openField();
  if (isThirdBusy) {
    consumer(TOPIC, JOB_MS, 1);
    await enqueue(TOPIC, ['busy']);
    await waitUntil(() => runs.has('busy'));
  }
  await enqueue(TOPIC, numbers);
  const owner = consumer(TOPIC, JOB_MS);
  await waitUntil(() => numbers.every((number) => runs.has(number)));
  const idle = consumer(TOPIC, JOB_MS);
  await sleep(systemClock, WATCHED_MS);
  owner.cut();
  idle.cut();
  await waitUntil(() => idle.held.some((command) => command.includes(LEASE_MS)));
  await sleep(systemClock, OUTAGE_MS);
  await opened.admin(async (client) => {
    for (const [command, ...args] of idle.held) {
      if (command.startsWith('EVAL')) await client.call(command, ...args);
    }
  });
  idle.heal();
  owner.heal();
  await opened.untilHandled(TOPIC);
  expect(doubled(runs)).toEqual([]);
});

test('a consumer that starts at the end of an outage waits for the leases of the others', async () => {
  const { runs, opened, consumer, enqueue } = await openField();
  await enqueue(TOPIC, numbers);
  const owner = consumer(TOPIC, JOB_MS);
  await waitUntil(() => runs.size === JOBS);
  owner.cut();
  await sleep(systemClock, OUTAGE_MS);
  consumer(TOPIC, 0);
  await enqueue(TOPIC, ['new']);
  await waitUntil(() => runs.has('new'));
  owner.heal();
  await opened.untilHandled(TOPIC);
  expect(doubled(runs)).toEqual([]);
});
