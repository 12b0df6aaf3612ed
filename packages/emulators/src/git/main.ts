import { mkdir, mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '@holdfast/foundation';
import { openControl } from '../control/control-server.ts';
import { readEntry, serve } from '../control/entry.ts';
import { createRequestLog } from '../control/request-log.ts';
import { type GitRequest, exchange } from './exchange.ts';
import { checkRepository, ensureRepositories, makeRejectingHooks } from './repositories.ts';
import { type GitSettings, readGitSettings } from './settings.ts';
import { tallyGitFaults } from './tally.ts';

/** The program of the git remote: `git http-backend` behind HTTP, and the stage's control beside it. */

const entry = readEntry();
const log = createRequestLog<GitRequest>();
const base =
  entry.file === undefined ? await mkdtemp(join(tmpdir(), 'holdfast-git-')) : dirname(entry.file);
const root = join(base, 'repositories');
await mkdir(root, { recursive: true });
const rejectingHooks = await makeRejectingHooks(base);
let settings: GitSettings | undefined;
let tally = tallyGitFaults([]);

const control = await openControl({
  file: entry.file,
  read: (given) => readGitSettings('git', given ?? {}),
  async enact(next) {
    await ensureRepositories(root, next.repositories);
    if (JSON.stringify(next.faults) !== JSON.stringify(settings?.faults)) {
      tally = tallyGitFaults(next.faults);
    }
    settings = next;
  },
  log,
  questions: {
    async whole(name) {
      if (settings?.repositories.includes(name) !== true) throw new RangeError(`no ${name} here`);
      return checkRepository(root, name);
    },
  },
});
const server = createServer((incoming, outgoing) => {
  if (control.answers(incoming, outgoing)) return;
  // Who goes away before the answer is not missed.
  exchange(incoming, outgoing, { log, clock: systemClock, root, rejectingHooks, tally }).catch(() =>
    outgoing.destroy(),
  );
});
serve('git', server, entry);
