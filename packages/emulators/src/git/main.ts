import { mkdir, mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '@holdfast/foundation';
import { type Program, openProgram, parseArguments, serve } from '../control/program.ts';
import { reuseWhileEqual } from '../control/reuse-while-equal.ts';
import { createGitFaultInjector } from './fault-injector.ts';
import { type GitRequest, handleGitRequest } from './handle-request.ts';
import { checkRepository, ensureRepositories, makeRejectingHooks } from './repositories.ts';
import { type GitSettings, parseGitSettings } from './settings.ts';

/** The git program: `git http-backend` behind HTTP. */

const { file } = parseArguments();
const base = file === undefined ? await mkdtemp(join(tmpdir(), 'holdfast-git-')) : dirname(file);
const root = join(base, 'repositories');
await mkdir(root, { recursive: true });
const rejectingHooks = await makeRejectingHooks(base);
const injectorOf = reuseWhileEqual(createGitFaultInjector);
let faults = injectorOf([]);

const program: Program<GitSettings, GitRequest> = await openProgram({
  parse: (given) => parseGitSettings('git', given ?? {}),
  async apply(settings) {
    await ensureRepositories(root, settings.repositories);
    faults = injectorOf(settings.faults);
  },
  queries: {
    async fsck(name): Promise<string> {
      if (!program.settings.repositories.includes(name)) throw new RangeError(`no ${name} here`);
      return checkRepository(root, name);
    },
  },
});
const server = createServer((incoming, outgoing) => {
  if (program.handles(incoming, outgoing)) return;
  const deps = { log: program.log, clock: systemClock, root, rejectingHooks, faults };
  // Rejects when the client disconnects.
  handleGitRequest(incoming, outgoing, deps).catch(() => outgoing.destroy());
});
serve('git', server, program);
