/**
 * How long a stage on local processes takes to its first answers, and to heal what was broken; then
 * whether an address moves over 200 kills and restarts. `BENCH_ROUNDS` sets the rounds, 7 by default.
 */
import { type ServerHandle, openStage } from '../packages/stage/src/index.ts';

interface Case {
  readonly name: string;
  /** What its median must not exceed on a quiet machine, in milliseconds. */
  readonly barMs?: number;
  /** Times what is to be timed by `timed`, and undoes the rest untimed. */
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

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 7);
const samples = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
// One round more than is counted: the first one fetches, initialises and fills the caches. In turns, so
// that a noisy machine is noisy for all of them alike.
for (let round = 0; round <= rounds; round += 1) {
  for (const each of cases) {
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
  `| ${'stage, local, ms'.padEnd(46)} |    least |   median |     most |    bar |\n|---|---:|---:|---:|---:|\n`,
);
for (const { name, barMs } of cases) {
  const sorted = (samples.get(name) ?? []).toSorted((left, right) => left - right);
  const medianMs = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
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

const KILLS = 200;
const stage = await openStage({ mode, redis: true, postgres: true });
for (const server of [stage.redis, stage.postgres.primary]) {
  const { url } = server;
  let moved = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    await killAndStart(server);
    if (server.url !== url) moved += 1;
  }
  process.stdout.write(
    `${server.name}: ${KILLS} kills and restarts, its address moved ${moved} times\n`,
  );
  if (moved > 0) misses.push(`${server.name} moved`);
}
await stage.close();

if (misses.length > 0) {
  process.stderr.write(`\nover their bar: ${misses.join('; ')}\n`);
  process.exitCode = 1;
}
