/**
 * Shows a catalog that answers whatever fails: `npm run catalog:demo`
 *
 * Starts the API's emulator, a Redis and a Postgres; syncs by `catalog sync`, searches by `catalog search`, then serves
 * by `catalog serve`, kills one server after the other, and asks on. Ends with what answered when, and with 1 if
 * anything did not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment, systemClock } from '@holdfast/foundation';
import { openStage } from '@holdfast/stage';
import { waitUntil } from '../wait-until.ts';

const MAIN = join(import.meta.dirname, '../../../catalog/src/command/main.ts');
const BUNDLES = Number(environment['CATALOG_DEMO_BUNDLES'] ?? 10_000);
const ANSWER_WITHIN_MS = 10_000;

type Variables = Readonly<Record<string, string>>;

/** What was asked, and what came. */
interface Answered {
  readonly when: string;
  readonly what: string;
  readonly isGood: boolean;
}

/** As far as it is read of an answer. */
interface AnswerBody {
  readonly origin: { readonly source: string; readonly generation: number };
  readonly total?: number;
  readonly bundles?: readonly { readonly name: string }[];
  readonly bundle?: { readonly name: string };
}

const startedMs = systemClock.now();
const answers: Answered[] = [];

function say(text: string): void {
  const seconds = ((systemClock.now() - startedMs) / 1_000).toFixed(1).padStart(5);
  process.stdout.write(`\n${seconds} s  ${text}\n`);
}

/** Runs a part of the command where the reader sees it. */
async function run(variables: Variables, ...args: readonly string[]): Promise<void> {
  say(`$ catalog ${args.join(' ')}`);
  const env = { ...environment, ...variables };
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`catalog ${args.join(' ')} ended with ${String(code)}`);
}

interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

async function serve(variables: Variables): Promise<Service> {
  say('$ catalog serve --port 0');
  const env = { ...environment, ...variables };
  const child: ChildProcess = spawn(process.execPath, [MAIN, 'serve', '--port', '0'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let written = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    written += text;
    process.stdout.write(text);
  });
  await waitUntil(() => written.includes('\n') || child.exitCode !== null);
  const url = /http:\S+/.exec(written)?.[0];
  if (url === undefined) throw new Error('catalog serve did not start');
  const listeningMs = systemClock.now();
  await waitUntil(async () => (await fetch(`${url}/health/ready`)).ok);
  say(`ready ${(systemClock.now() - listeningMs).toFixed(0)} ms after it began to listen`);
  return {
    url,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

async function read(url: string): Promise<{ readonly body: AnswerBody; readonly ms: number }> {
  const sentMs = systemClock.now();
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  // The service is ours, and so is what it answers.
  return { body: JSON.parse(text), ms: systemClock.now() - sentMs };
}

/** Asks for a page, and for the document of a bundle that nobody has read before. */
async function ask(when: string, { url }: Service): Promise<void> {
  const offset = answers.length * Math.floor(BUNDLES / 20);
  try {
    const { body, ms } = await read(`${url}/bundles?sort=name&limit=1&offset=${offset}`);
    const name = body.bundles?.[0]?.name ?? '';
    const { body: found, ms: documentMs } = await read(`${url}/bundles/${name}`);
    const { source, generation } = body.origin;
    const what =
      `${body.total} bundles of generation ${generation} (${source}) in ${ms.toFixed(0)} ms, ` +
      `a document from ${found.origin.source} in ${documentMs.toFixed(0)} ms`;
    const isGood = body.total === BUNDLES && found.bundle?.name === name;
    answers.push({ when, what, isGood });
  } catch (error) {
    answers.push({ when, what: String(error), isGood: false });
  }
  const { what, isGood } = answers.at(-1) ?? { what: '', isGood: false };
  say(`${isGood ? 'answered' : 'FAILED'}, ${when}: ${what}`);
}

const directory = mkdtempSync(join(tmpdir(), 'holdfast-catalog-demo-'));
say("starting the API's emulator, Redis and Postgres");
const stage = await openStage({ esimGo: { rows: BUNDLES }, redis: true, postgres: true });
let service: Service | undefined;
try {
  const { esimGo, redis, postgres } = stage;
  const variables: Variables = {
    ESIM_GO_API_KEY: esimGo.apiKey,
    ESIM_GO_API_URL: `${esimGo.url}/v2.5`,
    CATALOG_REDIS_URL: redis.url,
    CATALOG_DATABASE_URL: postgres.primary.url,
    CATALOG_DIRECTORY: directory,
  };
  await run(variables, 'sync');
  await run(variables, 'status');
  await run(variables, 'search', 'germany', '--unlimited', 'true', '--limit', '5');
  service = await serve(variables);
  await ask('all servers run', service);
  await esimGo.kill();
  await ask('the API is killed', service);
  await redis.kill();
  await ask('Redis is killed, too', service);
  await postgres.primary.kill();
  await ask('Postgres is killed, too', service);
  await service.stop();
  service = await serve(variables);
  await ask('the service was started again, with the backup alone', service);
  const { url } = service;
  const before = (await read(`${url}/status`)).body.origin.generation;
  say('starting all servers again; the service syncs by itself');
  await Promise.all([esimGo.start(), redis.start(), postgres.primary.start()]);
  const backMs = systemClock.now();
  await waitUntil(async () => (await read(`${url}/status`)).body.origin.generation > before);
  say(`it has a new generation ${(systemClock.now() - backMs).toFixed(0)} ms after they were up`);
  await ask('all servers run again', service);
} finally {
  await service?.stop();
  await stage.close();
  rmSync(directory, { recursive: true, force: true });
}

say('what answered:');
for (const { when, what, isGood } of answers) {
  process.stdout.write(`  ${isGood ? 'ok    ' : 'FAILED'}  ${when}\n          ${what}\n`);
}
const failed = answers.filter(({ isGood }) => !isGood).length;
say(`${answers.length - failed} of ${answers.length} questions were answered`);
process.exitCode = failed === 0 ? 0 : 1;
