/**
 * Shows an edit that reaches its site whatever fails: `npm run publisher:demo`
 *
 * Starts git over HTTP, an S3 and an emulated Claude; edits a real Astro site by sessions, breaks one stage after the
 * other, and looks at the site by its front door. Ends with what happened, and with 1 if anything did not end right.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@holdfast/foundation';
import { createFrontDoor, createPublisher } from '@holdfast/publisher';
import { ErrorRecoveryHarness, type TestSession } from './harness.ts';
import { bucketOf } from './worker.ts';

const SITE = join(import.meta.dirname, '../../../../fixtures/site');
const PUBLISHER = join(import.meta.dirname, '../../../publisher/node_modules');
const CLIENT = 'harbour';
const THREAD = 'harbour';

interface Shown {
  readonly what: string;
  readonly isGood: boolean;
}

const startedMs = systemClock.now();
const shown: Shown[] = [];

function say(text: string): void {
  const seconds = ((systemClock.now() - startedMs) / 1_000).toFixed(1).padStart(5);
  process.stdout.write(`\n${seconds} s  ${text}\n`);
}

function note(what: string, isGood: boolean): void {
  shown.push({ what, isGood });
  say(`${isGood ? 'right' : 'WRONG'}: ${what}`);
}

function sources(): Record<string, string> {
  const entries = readdirSync(SITE, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(SITE.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}

function pageOf(title: string): string {
  return `---\nimport Page from '../layouts/Page.astro';\n---\n\n<Page title="${title}"><p>${title}</p></Page>\n`;
}

say('starting git over HTTP, S3 and an emulated Claude');
const harness = await ErrorRecoveryHarness.open(
  {
    build: {
      args: [join(PUBLISHER, 'astro/bin/astro.mjs'), 'build', '--outDir', '{output}'],
      modulesDirectory: PUBLISHER,
    },
  },
  sources(),
);

/** An edit that adds a page, or breaks one. */
async function edit(name: string, content: string = pageOf(name)): Promise<TestSession> {
  const instruction = `Add the page ${name}`;
  harness.script(instruction, [{ path: `src/pages/${name}.astro`, content }]);
  say(`> ${instruction}`);
  return harness.createTestSession({ clientId: CLIENT, chatThreadId: THREAD, instruction });
}

/** Whether a visitor sees these pages, and every file that they need. */
async function look(when: string, names: readonly string[]): Promise<void> {
  const door = createFrontDoor({ store: harness.store(CLIENT) });
  const missing: string[] = [];
  for (const name of names) {
    const page = await door.answer({ path: name === '' ? '/' : `/${name}/` });
    const html = String(page.body);
    if (page.status !== 200 || !html.includes('</html>')) missing.push(name);
    for (const [, path = ''] of html.matchAll(/href="(\/[^"]+\.\w+)"/g)) {
      const file = await door.answer({ path, release: page.release });
      if (file.status !== 200) missing.push(path);
    }
  }
  note(
    `${when}: ${missing.length === 0 ? 'every page and file is there' : missing.join(' ')}`,
    missing.length === 0,
  );
}

try {
  harness.worker.onLog(({ kind, message }) => {
    if (kind !== 'stage-done') process.stdout.write(`         ${message}\n`);
  });
  await harness.waitForS3Deployment(await edit('boats'));
  await look('after a plain edit', ['', 'about', 'boats']);

  say('Claude is overloaded, and cuts an answer');
  harness.claude.mockClaudeError(529, 'Overloaded', { times: 1 });
  harness.claude.mockClaudeCut('reset', { times: 2 });
  await harness.waitForS3Deployment(await edit('tides'));
  await look('after Claude failed twice', ['', 'boats', 'tides']);

  say('the model writes a page that does not render');
  const broken = await edit('broken', '---\nthrow new Error("no data");\n---\n');
  const failed = await harness.waitForStatus(broken.sessionId, ['failed']);
  note(`the build failed, and nothing was deployed: ${failed.lastError?.slice(0, 40)}`, true);
  await look('after the failed build', ['', 'boats', 'tides']);

  say('somebody else pushes while the model thinks');
  harness.claude.mockClaudeDelay(1_500, { times: 1 });
  const late = await edit('lighthouse');
  await harness.waitForLog('stage-done', late);
  await harness.pushDirectToGit(late.branch, { 'src/pages/external.astro': pageOf('external') });
  await harness.waitForS3Deployment(late);
  await look('after a rebase', ['', 'lighthouse', 'external']);

  say('S3 denies every write');
  await harness.deny(bucketOf(CLIENT), 's3:PutObject');
  const denied = await edit('weather');
  await harness.waitForLog('s3-failed', denied);
  await look('while S3 denies', ['', 'lighthouse', 'external']);
  await harness.allow(bucketOf(CLIENT));
  await harness.waitForS3Deployment(denied);
  await look('when it allows again', ['', 'weather']);

  say('the worker is killed after its build');
  const { worker } = harness;
  const died = Promise.withResolvers<void>();
  worker.onLog(({ kind, message }) => {
    if (kind !== 'stage-done' || message !== 'build') return;
    worker.kill();
    died.resolve();
  });
  const killed = await edit('ferries');
  await died.promise;
  harness.startWorker();
  await harness.waitForS3Deployment(killed);
  await look('after another worker took over', ['', 'ferries']);

  const publisher = createPublisher({ store: harness.store(CLIENT) });
  const beganMs = systemClock.now();
  await publisher.rollback();
  note(`rolled back in ${(systemClock.now() - beganMs).toFixed(0)} ms`, true);
  await look('after the rollback', ['', 'weather']);
  const commits = await harness.getGitCommits(`thread-${THREAD}`);
  note(`${commits.length} commits are on the branch: none is lost`, commits.length === 7);
} finally {
  await harness.close();
}

say('what happened:');
for (const { what, isGood } of shown) {
  process.stdout.write(`  ${isGood ? 'right' : 'WRONG'}  ${what}\n`);
}
const right = shown.filter(({ isGood }) => isGood).length;
say(`${right} of ${shown.length} ended right`);
process.exitCode = right === shown.length ? 0 : 1;
