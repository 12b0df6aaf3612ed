/** A process with a whole catalog: it searches, and syncs so often as it is told, beside others that do the same. */
import { createBackup, createCatalog, createCatalogClient } from '@holdfast/catalog';
import { createPostgresGenerations } from '@holdfast/catalog/postgres';
import { createRedisGenerations, createRedisLock } from '@holdfast/catalog/redis';
import { propertyOf, sleep, systemClock } from '@holdfast/foundation';

export interface CatalogProcessOptions {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly prefix: string;
  /** Its own. */
  readonly directory: string;
  /** That of all. */
  readonly backupDirectory: string;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly syncs: number;
}

export interface CatalogProcessReport {
  readonly published: readonly { readonly generation: number; readonly token: number }[];
  /** How often another one had the lock. */
  readonly locked: number;
  /** The codes of other errors. */
  readonly errors: readonly string[];
  readonly searches: number;
  /** Answers whose generation was older than that of the one before. */
  readonly wentBack: number;
}

const PAUSE_MS = 20;

const options: CatalogProcessOptions = JSON.parse(process.argv[2] ?? '{}');
const { redisUrl, postgresUrl, prefix, directory, backupDirectory, baseUrl, apiKey } = options;
const cache = createRedisGenerations({ url: redisUrl, prefix });
const database = createPostgresGenerations({ url: postgresUrl, prefix });
const lock = createRedisLock({ url: redisUrl, prefix });
const client = createCatalogClient({ apiKey, baseUrl, fetch });
const backup = createBackup({ directory: backupDirectory });
const catalog = createCatalog({
  api: client,
  lock,
  directory,
  cache,
  database,
  backup,
  pollEveryMs: PAUSE_MS,
});
const published: { generation: number; token: number }[] = [];
const errors: string[] = [];
let [locked, searches, wentBack, last] = [0, 0, 0, 0];
while (published.length < options.syncs) {
  try {
    const { manifest } = await catalog.sync();
    published.push({ generation: manifest.generation, token: manifest.token });
  } catch (error) {
    const code = String(propertyOf(error, 'code'));
    if (code === 'CATALOG_LOCKED') locked += 1;
    else errors.push(code);
    if (errors.length > 10) break;
  }
  const generation = catalog.status().origin?.generation;
  if (generation !== undefined) {
    searches += 1;
    const { origin } = await catalog.search({ limit: 5 });
    if (origin.generation < last) wentBack += 1;
    last = origin.generation;
  }
  await sleep(systemClock, PAUSE_MS);
}
await catalog.close();
for (const each of [client, lock, cache, database]) await each.close();
const report: CatalogProcessReport = { published, locked, errors, searches, wentBack };
process.send?.(report);
process.disconnect();
