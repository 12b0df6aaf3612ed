import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';

const faults = [
  ['reset', 'RST before the response'],
  ['resetBody', 'RST in the body'],
  ['shortBody', 'a body shorter than its length'],
  ['notHttp', 'bytes that are not HTTP'],
  ['late', 'a late response, aborted by `AbortSignal.timeout`'],
] as const;
const clients = ['fetch', 'http'] as const;
const responders = ['real', 'nock', 'msw'] as const;

/** How long a client without a response may wait after its request; other responses are immediate. */
const DEADLINE_MS = 5_000;
const AT_ONCE = 3;
const CASE = join(import.meta.dirname, 'http-mock-case.ts');
const RESULTS = join(import.meta.dirname, '../../../../docs/results/http-mocks.md');
const MARKED = /<!-- http-mocks -->([\s\S]*?)<!-- \/http-mocks -->/;

/** The errors of Node 22 that differ from those of Node 24 and 26, which are in the results. */
const ERRORS_OF_NODE_22: Readonly<Record<string, string>> = {
  resetBody: '`UND_ERR_SOCKET`',
  notHttp: '`HPE_INVALID_CONSTANT`',
};
const isNode22 = process.versions.node.startsWith('22.');

/** Runs one case in a process of its own. */
async function play(fault: string, client: string, responder: string): Promise<string> {
  if (fault === 'notHttp' && responder !== 'real') return 'not possible';
  const child = spawn(process.execPath, [CASE, fault, client, responder], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const settled = new AbortController();
  const ended = once(child, 'exit');
  const observed = text(child.stdout);
  await Promise.race([once(child.stdout, 'data'), ended]);
  const late = sleep(systemClock, DEADLINE_MS, settled.signal).then(() => child.kill('SIGKILL'));
  const [code] = await ended;
  settled.abort();
  const hung = await late.catch(() => false);
  if (hung) return '**hangs**';
  const output = (await observed).replace('ready\n', '');
  if (code !== 0) return '**kills the process**';
  return output.includes(' ') ? output : `\`${output}\``;
}

/** The rows of a table of Markdown, without its head. */
function rowsOf(table: string): string[][] {
  return table
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test('the results state what clients of msw and nock really get', async () => {
  const cases = faults.flatMap(([fault, title]) =>
    clients.map((client) => ({ fault, title, client, observed: ['', '', ''] })),
  );
  const jobs = cases.flatMap((row) =>
    responders.map((responder, column) => async () => {
      row.observed[column] = await play(row.fault, row.client, responder);
    }),
  );
  const worker = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const made = cases.map(({ title, client, observed }) =>
    [title, `\`${client}\``].concat(observed),
  );

  const results = await readFile(RESULTS, 'utf8');
  if (process.env['HOLDFAST_WRITE_README'] === '1') {
    const lines = [
      ['fault', 'client', 'fault proxy', 'nock', 'msw'],
      ['', '', '', '', ''].fill('---'),
      ...made,
    ];
    const table = lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
    const marked = `<!-- http-mocks -->\n\n${table}\n\n<!-- /http-mocks -->`;
    await writeFile(RESULTS, results.replace(MARKED, marked));
  }
  const stated = MARKED.exec(await readFile(RESULTS, 'utf8'))?.[1] ?? '';
  const rows = rowsOf(stated);
  for (const [at, { fault, client }] of cases.entries()) {
    const said = isNode22 && client === 'fetch' ? ERRORS_OF_NODE_22[fault] : undefined;
    if (said !== undefined) rows[at]?.splice(2, 1, said);
  }
  expect(rows).toEqual(made);
}, 120_000);
