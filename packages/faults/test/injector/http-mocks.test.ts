import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';

const faults = [
  ['reset', 'RST before the answer'],
  ['resetBody', 'RST in the body'],
  ['shortBody', 'a body shorter than its length'],
  ['notHttp', 'an answer that is no HTTP'],
  ['late', 'a late answer, given up by `AbortSignal.timeout`'],
] as const;
const clients = ['fetch', 'http'] as const;
const tellers = ['real', 'nock', 'msw'] as const;

/** What a client that is observed nothing may wait, from when it asked; the others answer at once. */
const DEADLINE_MS = 5_000;
const AT_ONCE = 3;
const CASE = join(import.meta.dirname, 'http-mock-case.ts');
const README = join(import.meta.dirname, '..', '..', 'README.md');
const MARKED = /<!-- http-mocks -->([\s\S]*?)<!-- \/http-mocks -->/;

/** Where the client of Node 22 says something else than that of Node 24 and 26, whose words are in the README. */
const SAID_BY_NODE_22: Readonly<Record<string, string>> = {
  resetBody: '`UND_ERR_SOCKET`',
  notHttp: '`HPE_INVALID_CONSTANT`',
};
const isNode22 = process.versions.node.startsWith('22.');

/** Plays one case in a process of its own. */
async function play(fault: string, client: string, teller: string): Promise<string> {
  if (fault === 'notHttp' && teller !== 'real') return 'cannot be said';
  const child = spawn(process.execPath, [CASE, fault, client, teller], {
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
  const said = (await observed).replace('ready\n', '');
  if (code !== 0) return '**kills the process**';
  return said.includes(' ') ? said : `\`${said}\``;
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

test('the README states what clients of msw and nock really get', async () => {
  const cases = faults.flatMap(([fault, title]) =>
    clients.map((client) => ({ fault, title, client, observed: ['', '', ''] })),
  );
  const jobs = cases.flatMap((row) =>
    tellers.map((teller, column) => async () => {
      row.observed[column] = await play(row.fault, row.client, teller);
    }),
  );
  const worker = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const made = cases.map(({ title, client, observed }) =>
    [title, `\`${client}\``].concat(observed),
  );

  const readme = await readFile(README, 'utf8');
  if (process.env['HOLDFAST_WRITE_README'] === '1') {
    const lines = [
      ['fault', 'client', 'fault proxy', 'nock', 'msw'],
      ['', '', '', '', ''].fill('---'),
      ...made,
    ];
    const table = lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
    const marked = `<!-- http-mocks -->\n\n${table}\n\n<!-- /http-mocks -->`;
    await writeFile(README, readme.replace(MARKED, marked));
  }
  const stated = MARKED.exec(await readFile(README, 'utf8'))?.[1] ?? '';
  const rows = rowsOf(stated);
  for (const [at, { fault, client }] of cases.entries()) {
    const said = isNode22 && client === 'fetch' ? SAID_BY_NODE_22[fault] : undefined;
    if (said !== undefined) rows[at]?.splice(2, 1, said);
  }
  expect(rows).toEqual(made);
}, 120_000);
