import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { Client } from 'pg';
import {
  type PostgresCatalog,
  type Way,
  generationBundles,
  manifestOf,
  openPostgresCatalog,
  publishGeneration,
} from '../../src/catalog/postgres-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';
import { scenario } from '../../src/catalog/sync-scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

let catalog: PostgresCatalog;
const holders: Client[] = [];
beforeAll(async () => {
  catalog = await openPostgresCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(async () => {
  if (catalog.primary.state === 'frozen') await catalog.primary.thaw();
  if (catalog.primary.state !== 'running') await catalog.primary.start();
  for (const holder of holders.splice(0)) await holder.end().catch(() => undefined);
  await catalog.reset();
});
afterAll(() => catalog.close());
const mode = (): PostgresCatalog['mode'] => catalog.mode;

/** More than one statement loads. */
const ROWS = 5_000;
/** However slow the machine. */
const GIVEN_UP_MS = 10_000;

/** Holds a lock in a session of its own until the test ends, or its server. */
async function hold(text: string): Promise<Client> {
  const holder = new Client({ connectionString: catalog.primary.url });
  holder.on('error', () => undefined);
  await holder.connect();
  holders.push(holder);
  await holder.query('begin');
  await holder.query(text);
  return holder;
}

const waiting = (text: string): Promise<void> =>
  waitUntil(async () => {
    const rows = await catalog.ask(
      'select 1 from pg_stat_activity where query ilike $1 and wait_event is not null and state = $2 and pid <> pg_backend_pid()',
      [`${text}%`, 'active'],
    );
    return rows.length > 0;
  });

/** The newest table of rows. */
async function relation(): Promise<string> {
  const [row] = await catalog.ask(
    `select relation from ${catalog.prefix}_generations order by begun_at desc limit 1`,
  );
  return String(row?.['relation']);
}

const outcomeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

/** The ways that load through a connection, and how their statements begin. */
const WAYS: readonly (readonly [Way, string])[] = [
  ['COPY', 'copy'],
  ['inserts', 'insert'],
];

scenario(
  mode,
  {
    promise:
      'a Postgres killed amid the loading has the generation before, and takes the next one when it is back',
    fault: 'SIGKILL amid COPY, and amid an insert of many rows',
  },
  async () => {
    let recoveredAfterMs = 0;
    for (const [way, statement] of WAYS) {
      const store = await catalog.store(way);
      await publishGeneration(store, 1);
      const staged = await store.stage({ generation: 2, token: 2 });
      await hold(`lock table ${await relation()} in exclusive mode`);
      const adding = outcomeOf(staged.add(generationBundles(ROWS, 2)));
      await waiting(statement);
      await catalog.primary.kill();
      expect(await adding).toMatchObject({ code: 'CATALOG_STORE', reason: 'unreachable' });
      const publishing = staged.publish(manifestOf(2, 2, ROWS));
      await expect(publishing).rejects.toMatchObject({ code: 'CATALOG_STORE' });
      await catalog.primary.start();
      const backMs = systemClock.now();
      expect((await readGeneration(store)).generation).toBe(1);
      recoveredAfterMs = Math.max(recoveredAfterMs, systemClock.now() - backMs);
      await publishGeneration(store, 2, { token: 3 });
      const bundles = generationBundles(100, 2);
      expect(await readGeneration(store)).toStrictEqual({ generation: 2, bundles });
      await catalog.reset();
    }
    return { recoveredAfterMs };
  },
);

scenario(
  mode,
  {
    promise:
      'a Postgres frozen amid the loading is given up in time, and the rows that arrive late are in no published generation',
    fault: 'SIGSTOP amid COPY, and amid an insert of many rows, SIGCONT',
  },
  async () => {
    let detectedAfterMs = 0;
    for (const [way, statement] of WAYS) {
      const store = await catalog.store(way, { timeoutMs: 600 });
      await publishGeneration(store, 1);
      const staged = await store.stage({ generation: 2, token: 2 });
      const holder = await hold(`lock table ${await relation()} in exclusive mode`);
      const beganMs = systemClock.now();
      const adding = outcomeOf(staged.add(generationBundles(ROWS, 2)));
      await waiting(statement);
      await catalog.primary.freeze();
      expect(await adding).toMatchObject({ code: 'CATALOG_STORE', reason: 'timeout' });
      detectedAfterMs = Math.max(detectedAfterMs, systemClock.now() - beganMs);
      await expect(store.current()).rejects.toMatchObject({ code: 'CATALOG_STORE' });
      await store.close();
      expect(systemClock.now() - beganMs).toBeLessThan(GIVEN_UP_MS);
      await catalog.primary.thaw();
      await holder.query('rollback');
      const next = await catalog.store(way);
      await publishGeneration(next, 2, { token: 3 });
      expect((await readGeneration(next)).bundles).toStrictEqual(generationBundles(100, 2));
      await catalog.reset();
    }
    expect(detectedAfterMs).toBeLessThan(GIVEN_UP_MS);
    return { detectedAfterMs };
  },
);

scenario(
  mode,
  {
    promise: 'a Postgres killed amid the publication has not published, and the next generation is',
    fault: 'SIGKILL while the publication waits for the fence',
  },
  async () => {
    const store = await catalog.store('COPY');
    await publishGeneration(store, 1);
    const staged = await store.stage({ generation: 2, token: 2 });
    await staged.add(generationBundles(100, 2));
    await hold(`select from ${catalog.prefix}_fence for update`);
    const publishing = outcomeOf(staged.publish(manifestOf(2, 2, 100)));
    await waiting('select generation, token');
    await catalog.primary.kill();
    expect(await publishing).toMatchObject({ reason: 'unreachable', outcome: 'not-applied' });
    await catalog.primary.start();
    expect((await readGeneration(store)).generation).toBe(1);
    await publishGeneration(store, 2, { token: 3 });
    expect((await readGeneration(store)).generation).toBe(2);
    return {};
  },
);

/** From now on the commit of a publication takes its time. */
async function slowCommits(seconds: number): Promise<void> {
  const fence = `${catalog.prefix}_fence`;
  await catalog.ask(
    `create function ${fence}_slow() returns trigger language plpgsql as ` +
      `$$ begin perform pg_sleep(${seconds}); return null; end $$`,
  );
  await catalog.ask(
    `create constraint trigger slow after update on ${fence} deferrable initially deferred ` +
      `for each row when (old.generation <> new.generation) execute function ${fence}_slow()`,
  );
}

/** A second generation whose commit is under way, and how its publication ends. */
async function committing(store: Awaited<ReturnType<PostgresCatalog['store']>>): Promise<{
  readonly publishing: Promise<unknown>;
}> {
  const staged = await store.stage({ generation: 2, token: 2 });
  await staged.add(generationBundles(100, 2));
  const publishing = outcomeOf(staged.publish(manifestOf(2, 2, 100)));
  await waiting('commit');
  return { publishing };
}

scenario(
  mode,
  {
    promise: 'a publication whose answer is lost is looked up, and was made',
    fault: 'the connection is reset amid COMMIT',
  },
  async () => {
    const { proxy, url } = await catalog.proxy();
    const store = await catalog.store('COPY', { url });
    await publishGeneration(store, 1);
    await slowCommits(1);
    const { publishing } = await committing(store);
    proxy.faults.set('reset');
    await waitUntil(() => proxy.getStats().connectionsOpen === 0);
    await proxy.heal();
    expect(await publishing).toBeUndefined();
    expect((await readGeneration(store)).generation).toBe(2);
    return {};
  },
);

scenario(
  mode,
  {
    promise:
      'a publication whose Postgres dies amid its commit is not applied, or unknown while nobody can ask',
    fault: 'SIGKILL amid COMMIT, with a start and without',
  },
  async () => {
    for (const [isBack, outcome] of [
      [true, 'not-applied'],
      [false, 'unknown'],
    ]) {
      const store = await catalog.store('COPY', { timeoutMs: isBack ? 20_000 : 500 });
      await publishGeneration(store, 1);
      await slowCommits(30);
      const { publishing } = await committing(store);
      await catalog.primary.kill();
      if (isBack) await catalog.primary.start();
      expect(await publishing).toMatchObject({ code: 'CATALOG_STORE', outcome });
      if (!isBack) await catalog.primary.start();
      expect((await readGeneration(await catalog.store('COPY'))).generation).toBe(1);
      await catalog.reset();
    }
    return {};
  },
);

scenario(
  mode,
  {
    promise:
      'a publication whose Postgres is frozen amid its commit is unknown, and what is there is whole',
    fault: 'SIGSTOP amid COMMIT, SIGCONT',
  },
  async () => {
    const store = await catalog.store('COPY', { timeoutMs: 500, publishTimeoutMs: 3_000 });
    await publishGeneration(store, 1);
    await slowCommits(1);
    const { publishing } = await committing(store);
    await catalog.primary.freeze();
    expect(await publishing).toMatchObject({ code: 'CATALOG_STORE', outcome: 'unknown' });
    await catalog.primary.thaw();
    const { generation = 0, bundles } = await readGeneration(await catalog.store('COPY'));
    expect(bundles).toStrictEqual(generationBundles(100, generation));
    return {};
  },
);

scenario(
  mode,
  {
    promise:
      'a statement that reads the view keeps a publication waiting, no longer than it may take',
    fault: 'a transaction that stays open after it has read the view',
  },
  async () => {
    const store = await catalog.store('COPY', { publishTimeoutMs: 700 });
    await publishGeneration(store, 1);
    await hold(`select count(*) from ${catalog.prefix}`);
    const staged = await store.stage({ generation: 2, token: 2 });
    const beganMs = systemClock.now();
    const failed = await outcomeOf(staged.publish(manifestOf(2, 2, 0)));
    expect(failed).toMatchObject({ reason: 'timeout', outcome: 'not-applied' });
    const detectedAfterMs = systemClock.now() - beganMs;
    expect(detectedAfterMs).toBeLessThan(GIVEN_UP_MS);
    expect((await readGeneration(store)).generation).toBe(1);
    return { detectedAfterMs };
  },
);

test.each([
  { what: 'its role may not connect', role: 'nologin', reason: 'unreachable' },
  { what: 'its role may not create', role: 'login', reason: 'unreachable' },
])('a Postgres where $what answers with $reason', async ({ role, reason }) => {
  const user = `${catalog.prefix}_user`;
  await catalog.ask(`create role ${user} ${role}`);
  const url = new URL(catalog.primary.url);
  url.username = user;
  const store = await catalog.store('COPY', { url: url.href });
  await expect(store.stage({ generation: 1, token: 1 })).rejects.toMatchObject({ reason });
});

scenario(
  mode,
  {
    promise: 'two leaders that stage and publish at once publish whole generations, in order',
    fault: 'six generations of two stores at the same time, each token higher',
  },
  async () => {
    const stores = [await catalog.store('COPY'), await catalog.store('inserts')];
    const seen = new Set<number>();
    const reads = await catalog.store('COPY');
    await publishGeneration(reads, 1);
    const results = Promise.allSettled(
      [2, 3, 4, 5, 6, 7].map((generation, at) =>
        publishGeneration(stores[at % 2] ?? reads, generation, { rows: 400 }),
      ),
    );
    const progress = { isOver: false };
    void results.then(() => (progress.isOver = true));
    while (!progress.isOver) {
      const { generation = 0, bundles } = await readGeneration(reads);
      seen.add(generation);
      expect(bundles).toStrictEqual(generationBundles(generation === 1 ? 100 : 400, generation));
    }
    const refused = (await results).filter(({ status }) => status === 'rejected');
    for (const each of refused) expect(each).toMatchObject({ reason: { code: 'CATALOG_FENCED' } });
    expect((await readGeneration(reads)).generation).toBe(7);
    expect(Array.from(seen)).toStrictEqual(Array.from(seen).toSorted((a, b) => a - b));
    return {};
  },
);
