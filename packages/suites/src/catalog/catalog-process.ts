import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { CatalogProcessOptions, CatalogProcessReport } from './process-main.ts';

/** Runs a process with a catalog to its end. @throws Error when it ends without a report */
export async function runCatalogProcess(
  options: CatalogProcessOptions,
): Promise<CatalogProcessReport> {
  const main = join(import.meta.dirname, 'process-main.ts');
  const child = fork(main, [JSON.stringify(options)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const reports: CatalogProcessReport[] = [];
  child.on('message', (message: CatalogProcessReport) => reports.push(message));
  const [code]: unknown[] = await once(child, 'exit');
  const [report] = reports;
  if (report === undefined) throw new Error(`the process ended with ${String(code)}`);
  return report;
}
