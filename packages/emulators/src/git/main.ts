import { mkdir, mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '@holdfast/foundation';
import { openControlServer } from '../control/control-server.ts';
import { parseArguments, serve } from '../control/program.ts';
import { createRequestLog } from '../control/request-log.ts';
import { type GitRequest, handleGitRequest } from './handle-request.ts';
import { checkRepository, ensureRepositories, makeRejectingHooks } from './repositories.ts';
import { type GitSettings, parseGitSettings } from './settings.ts';
import { createGitFaultInjector } from './fault-injector.ts';

/** The program of the git remote: `git http-backend` behind HTTP, and the stage's control beside it. */

const entry = parseArguments();
const log = createRequestLog<GitRequest>();
const base =
  entry.file === undefined ? await mkdtemp(join(tmpdir(), 'holdfast-git-')) : dirname(entry.file);
const root = join(base, 'repositories');
await mkdir(root, { recursive: true });
const rejectingHooks = await makeRejectingHooks(base);
let settings: GitSettings | undefined;
let faults = createGitFaultInjector([]);

const control = await openControlServer({
  file: entry.file,
  parse: (given) => parseGitSettings('git', given ?? {}),
  async apply(next) {
    await ensureRepositories(root, next.repositories);
    if (JSON.stringify(next.faults) !== JSON.stringify(settings?.faults)) {
      faults = createGitFaultInjector(next.faults);
    }
    settings = next;
  },
  log,
  queries: {
    async fsck(name) {
      if (settings?.repositories.includes(name) !== true) throw new RangeError(`no ${name} here`);
      return checkRepository(root, name);
    },
  },
});
const server = createServer((incoming, outgoing) => {
  if (control.handles(incoming, outgoing)) return;
  // Who goes away before the answer is not missed.
  handleGitRequest(incoming, outgoing, {
    log,
    clock: systemClock,
    root,
    rejectingHooks,
    faults,
  }).catch(() => outgoing.destroy());
});
serve('git', server, entry);
