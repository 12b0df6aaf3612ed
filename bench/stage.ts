/**
 * Measures the time of a stage on local processes until its first answers and for its recovery from faults; with
 * a Docker engine, the comparison with Testcontainers; then whether an address changes over 200
 * kills and restarts (of containers: `BENCH_CONTAINER_KILLS`, 20). `BENCH_ROUNDS` sets the rounds, 7.
 */
import {
  type Endpoint,
  type ServerHandle,
  type StagePool,
  type Stage,
  type StageOptions,
  openStagePool,
  openStage,
} from '@holdfast/stage';
import { imageOf } from '../packages/stage/src/images.ts';
import { askPostgres } from '../packages/stage/src/servers/postgres/query.ts';
import { askRedis } from '../packages/stage/src/servers/redis/command.ts';
import { GenericContainer } from 'testcontainers';

interface Case {
  readonly name: string;
  /** The maximum median on a quiet machine, in milliseconds. */
  readonly barMs?: number;
  /** Measures only the work inside `timed`; setup and cleanup are not measured. */
  run(timed: Timed): Promise<void>;
}

type Timed = <T>(work: () => Promise<T>) => Promise<T>;

const mode = 'local';

const cases: readonly Case[] = [
  {
    name: 'redis, ready',
    barMs: 30,
    async run(timed) {
      const stage = await timed(() => openStage({ mode, redis: true }));
      await stage.close();
    },
  },
  {
    name: 'redis, kill and start',
    async run(timed) {
      const stage = await openStage({ mode, redis: true });
      await timed(() => killAndStart(stage.redis));
      await stage.close();
    },
  },
  {
    name: 'redis sentinel 1 + 2 + 3, ready',
    barMs: 400,
    async run(timed) {
      const stage = await timed(() => openStage({ mode, redis: 'sentinel' }));
      await stage.close();
    },
  },
  {
    name: 'redis sentinel, failover (down after 300 ms)',
    async run(timed) {
      const redis = { topology: 'sentinel', downAfterMs: 300 } as const;
      const stage = await openStage({ mode, redis });
      await stage.redis.primary.kill();
      await timed(() => stage.redis.primaryAfter(stage.redis.primary));
      await stage.close();
    },
  },
  {
    name: 'redis cluster 3 + 3, ready',
    async run(timed) {
      const stage = await timed(() => openStage({ mode, redis: 'cluster' }));
      await stage.close();
    },
  },
  {
    name: 'postgres from the template, ready',
    barMs: 150,
    async run(timed) {
      const stage = await timed(() => openStage({ mode, postgres: true }));
      await stage.close();
    },
  },
  {
    name: 'postgres, kill and start (crash recovery)',
    async run(timed) {
      const stage = await openStage({ mode, postgres: true });
      await timed(() => killAndStart(stage.postgres.primary));
      await stage.close();
    },
  },
  {
    name: 'postgres, database from a template',
    async run(timed) {
      const stage = await openStage({ mode, postgres: true });
      await timed(() => stage.postgres.createDatabase());
      await stage.close();
    },
  },
  {
    name: 'postgres with its replica, ready',
    barMs: 600,
    async run(timed) {
      const stage = await timed(() => openStage({ mode, postgres: 'replica' }));
      await stage.close();
    },
  },
  {
    name: 'postgres replica, promoted',
    async run(timed) {
      const stage = await openStage({ mode, postgres: 'replica' });
      await stage.postgres.primary.kill();
      await timed(() => stage.postgres.promote());
      await stage.close();
    },
  },
  {
    name: 'redis, a spare leased',
    barMs: 20,
    run: (timed) =>
      leaseOnce(
        () => openStagePool({ stage: { mode, redis: true }, spares: 1 }),
        ({ redis }) => ping(redis),
        timed,
      ),
  },
  {
    name: 'postgres, a spare leased',
    barMs: 20,
    run: (timed) =>
      leaseOnce(
        () => openStagePool({ stage: { mode, postgres: true }, spares: 1 }),
        ({ postgres }) => askPostgres(postgres.primary, { sql: 'select 1' }, patience()),
        timed,
      ),
  },
  {
    name: 'redis cluster, leased warm',
    barMs: 20,
    run: (timed) =>
      leaseOnce(
        () => openStagePool({ stage: { mode, redis: 'cluster' }, spares: 1 }),
        async ({ redis }) => ping(await redis.primaryOfSlot(0)),
        timed,
      ),
  },
  {
    name: 'stage, closed (redis and postgres)',
    async run(timed) {
      const stage = await openStage({ mode, redis: true, postgres: true });
      await timed(() => stage.close());
    },
  },
];

async function killAndStart(server: ServerHandle): Promise<void> {
  await server.kill();
  await server.start();
}

/** Time from the request for a lease to the first answer of the leased server. */
async function leaseOnce<O extends StageOptions>(
  open: () => Promise<StagePool<O>>,
  answer: (stage: Stage<O>) => Promise<unknown>,
  timed: Timed,
): Promise<void> {
  const spares = await open();
  await timed(async () => answer((await spares.lease()).stage));
  await spares.close();
}

const patience = (): AbortSignal => AbortSignal.timeout(30_000);
const ping = (at: Endpoint): Promise<unknown> => askRedis(at, ['PING'], patience());

/** The same servers as containers, of the stage and of Testcontainers with its default wait. */
const inContainers: readonly Case[] = [
  {
    name: 'redis, docker, ready',
    async run(timed) {
      const stage = await timed(() => openStage({ mode: 'docker', redis: true }));
      await stage.close();
    },
  },
  {
    name: 'redis, Testcontainers, ready',
    async run(timed) {
      const container = new GenericContainer(imageOf('redis', process.env)).withExposedPorts(6379);
      const started = await timed(() => container.withAutoCleanup(false).start());
      await started.stop();
    },
  },
  {
    name: 'postgres, docker, ready',
    async run(timed) {
      const stage = await timed(() => openStage({ mode: 'docker', postgres: { version: 15 } }));
      await stage.close();
    },
  },
  {
    name: 'postgres, Testcontainers, ready',
    async run(timed) {
      const container = new GenericContainer(imageOf('postgres-15', process.env))
        .withExposedPorts(5432)
        .withEnvironment({ POSTGRES_HOST_AUTH_METHOD: 'trust' });
      const started = await timed(() => container.withAutoCleanup(false).start());
      await started.stop();
    },
  },
];

/** Whether a Docker engine with the images is available; prints the reason if not. */
async function haveContainers(): Promise<boolean> {
  try {
    const stage = await openStage({ mode: 'docker', redis: true, postgres: { version: 15 } });
    await stage.close();
    return true;
  } catch (error) {
    process.stdout.write(`containers are omitted: ${String(error)}\n`);
    return false;
  }
}

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 7);
const hasContainers = await haveContainers();
const measured = [...cases, ...(hasContainers ? inContainers : [])];
const samples = new Map<string, number[]>(measured.map(({ name }) => [name, []]));
// One extra round, the first: it fetches, initializes and fills the caches. Cases alternate, so
// that a noisy machine affects all of them alike.
for (let round = 0; round <= rounds; round += 1) {
  for (const each of measured) {
    await each.run(async (work) => {
      const startMs = performance.now();
      const result = await work();
      if (round > 0) samples.get(each.name)?.push(performance.now() - startMs);
      return result;
    });
  }
}

const misses: string[] = [];
process.stdout.write(
  `| ${'stage, local but where said otherwise, ms'.padEnd(46)} |    least |   median |     most |    bar |\n|---|---:|---:|---:|---:|\n`,
);
const medians = new Map<string, number>();
for (const { name, barMs } of measured) {
  const sorted = (samples.get(name) ?? []).toSorted((left, right) => left - right);
  const medianMs = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  medians.set(name, medianMs);
  const shown = [sorted[0], medianMs, sorted.at(-1)].map((ms) =>
    (ms?.toFixed(1) ?? '').padStart(8),
  );
  const isOver = barMs !== undefined && medianMs > barMs;
  if (isOver) misses.push(name);
  const bar = String(barMs ?? '').padStart(6);
  process.stdout.write(
    `| ${name.padEnd(46)} | ${shown.join(' | ')} | ${bar} |${isOver ? ' over its bar' : ''}\n`,
  );
}

/** How much faster a local server must be ready than one of Testcontainers. */
const SOONER = 10;
for (const [server, own] of [
  ['redis', 'redis, ready'],
  ['postgres', 'postgres from the template, ready'],
] as const) {
  const theirs = medians.get(`${server}, Testcontainers, ready`);
  if (theirs === undefined) continue;
  const ratio = theirs / (medians.get(own) ?? Number.NaN);
  process.stdout.write(
    `${server}: ready ${ratio.toFixed(1)} times sooner than by Testcontainers\n`,
  );
  if (ratio < SOONER) misses.push(`${server} is not ${SOONER} times sooner`);
}

for (const each of hasContainers ? (['local', 'docker'] as const) : (['local'] as const)) {
  const kills = each === 'local' ? 200 : Number(process.env['BENCH_CONTAINER_KILLS'] ?? 20);
  const stage = await openStage({ mode: each, redis: true, postgres: true });
  for (const server of [stage.redis, stage.postgres.primary]) {
    const { url } = server;
    let moved = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      await killAndStart(server);
      if (server.url !== url) moved += 1;
    }
    process.stdout.write(
      `${server.name}, ${each}: ${kills} kills and restarts, its address moved ${moved} times\n`,
    );
    if (moved > 0) misses.push(`${server.name} moved`);
  }
  await stage.close();
}

if (misses.length > 0) {
  process.stderr.write(`\nover their bar: ${misses.join('; ')}\n`);
  process.exitCode = 1;
}
