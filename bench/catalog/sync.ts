/**
 * A sync of the whole catalog from the API's emulator, which has no rate limit and is a process of its own: the time to
 * a searchable generation that is backed up, and the peak of memory; then the same again with nothing changed. Exits with
 * 1 above the bars: 50 000 bundles in 10 s and 250 MB, 1 000 000 in 90 s and 512 MB.
 *
 *   pnpm bench catalog-sync --bundles=1000000
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type SyncLock,
  createBackup,
  createCatalogClient,
  createCatalogSync,
} from '@holdfast/catalog';
import { createEsimGoServer } from '@holdfast/emulators/esim-go';

const SMALL = { ms: 10_000, mb: 250 };
const LARGE = { ms: 90_000, mb: 512 };
const { values } = parseArgs({
  allowPositionals: true,
  options: { bundles: { type: 'string', default: '50000' } },
});
const rows = Number(values.bundles);
const lock: SyncLock = {
  name: 'none',
  acquire: async ({ above = 0 } = {}) => ({
    token: above + 1,
    signal: new AbortController().signal,
    async release() {},
  }),
  async close() {},
};

/** The API, in the child. */
async function serve(): Promise<void> {
  const server = await createEsimGoServer({ rateLimit: false, rows });
  process.send?.({ baseUrl: server.baseUrl, apiKey: server.apiKey });
  process.on('disconnect', () => void server.close());
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

async function measure(api: { baseUrl: string; apiKey: string }): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'catalog-sync-'));
  const client = createCatalogClient({ ...api, fetch: (url, init) => fetch(url, init) });
  const backup = createBackup({ directory: join(directory, 'backup') });
  const sync = createCatalogSync({ client, lock, directory: join(directory, 'sync'), backup });
  const bar = rows > 50_000 ? LARGE : SMALL;
  const lines: string[] = [];
  let [isOver, firstCpuMs] = [false, 0];
  for (const what of ['first', 'unchanged']) {
    const startMs = performance.now();
    const cpu = process.cpuUsage();
    const { index, reusedPages, pages } = await sync.run();
    const ms = performance.now() - startMs;
    const cpuMs = cpuMsSince(cpu);
    if (what === 'first') firstCpuMs = cpuMs;
    const peakMb = process.resourceUsage().maxRSS / 1_024;
    isOver ||= ms > bar.ms || peakMb > bar.mb;
    const share = `${Math.round((100 * cpuMs) / firstCpuMs)} %`;
    const cells = [what, index.rows, `${reusedPages} of ${pages}`, ms.toFixed(0), cpuMs.toFixed(0)];
    lines.push(`| ${[...cells, share, peakMb.toFixed(0)].join(' | ')} |`);
    index.close();
  }
  process.stdout.write(
    '| sync | bundles | pages reused | ms | CPU ms | of the first | peak RSS, MB |\n' +
      `|---|---:|---:|---:|---:|---:|---:|\n${lines.join('\n')}\n`,
  );
  await sync.close();
  await client.close();
  await rm(directory, { recursive: true });
  return isOver;
}

if (process.send === undefined) {
  const child: ChildProcess = fork(import.meta.filename, [`--bundles=${rows}`]);
  const [api] = await once(child, 'message');
  const isOver = await measure(api);
  child.disconnect();
  process.exitCode = isOver ? 1 : 0;
} else await serve();
