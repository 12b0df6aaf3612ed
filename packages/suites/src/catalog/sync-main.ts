/**
 * A process that syncs once, for the suite that kills it: its pages and the backup are in a directory, the API is its
 * parent's. It tells each step by a line on its standard output.
 */
import { join } from 'node:path';
import { createBackup, createCatalogClient, createCatalogSync } from '@holdfast/catalog';
import { loneLock } from './lone-lock.ts';

export interface SyncProcessOptions {
  readonly directory: string;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly maxInFlight: number;
}

const options: SyncProcessOptions = JSON.parse(process.argv[2] ?? '{}');
const { directory, ...api } = options;
const client = createCatalogClient({ ...api, fetch: (url, init) => fetch(url, init) });
const sync = createCatalogSync({
  client,
  lock: loneLock,
  directory: join(directory, 'sync'),
  backup: createBackup({ directory: join(directory, 'backup'), acquireTimeoutMs: 0 }),
});
const { manifest, reusedPages } = await sync.run({
  onProgress: ({ phase, pages, rows }) => void process.stdout.write(`${phase} ${pages} ${rows}\n`),
});
process.stdout.write(`done ${manifest.rows} ${reusedPages}\n`);
await sync.close();
await client.close();
