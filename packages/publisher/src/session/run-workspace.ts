import { lstat, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildOutcome } from '../build/build-outcome.ts';
import { runBuild } from '../build/run-build.ts';
import type { VerifiedBuild } from '../build/verified-build.ts';
import { GitWorkspace } from '../git/git-workspace.ts';
import type { ResolvedPipelineOptions } from './pipeline-options.ts';
import { type SiteEdit, applyEdit } from './site-edit.ts';

/** What a run has decided so far: enough to make its files again on any machine. */
export interface RunSources {
  readonly branch: string;
  /** Where the branch was when the edit began. */
  readonly base: string;
  /** The branch that has `base`. */
  readonly baseBranch: string;
  readonly edit: SiteEdit;
  readonly editKey: string;
  readonly dateMs: number;
}

const EXCLUDED = 'node_modules\n';

/** The files of one run on this machine. All of it can be made again from what the run remembers. */
export class RunWorkspace {
  readonly #options: ResolvedPipelineOptions;
  readonly #directory: string;
  readonly #builds = new Map<string, VerifiedBuild>();
  readonly git: GitWorkspace;
  #outputs = 0;

  constructor(options: ResolvedPipelineOptions, runId: string) {
    const { remote, author, clock, gitTimeoutMs: timeoutMs } = options;
    const { probeTimeoutMs, staleLockMs } = options;
    this.#options = options;
    this.#directory = join(options.workDirectory, encodeURIComponent(runId));
    this.git = new GitWorkspace({
      directory: join(this.#directory, 'sources'),
      url: remote.url,
      credential: () => remote.credentials.current(),
      author,
      clock,
      timeoutMs,
      probeTimeoutMs,
      staleLockMs,
    });
  }

  get sources(): string {
    return this.git.directory;
  }

  /** Makes or cleans the clone. @returns locks that were removed. @throws GitCommandError */
  async open(signal: AbortSignal): Promise<readonly string[]> {
    const locks = await this.git.open(signal);
    const exclude = join(this.sources, '.git', 'info', 'exclude');
    await mkdir(join(this.sources, '.git', 'info'), { recursive: true });
    if ((await readFile(exclude, 'utf8').catch(() => '')) !== EXCLUDED) {
      await writeFile(exclude, EXCLUDED);
    }
    const { modulesDirectory } = this.#options;
    const link = join(this.sources, 'node_modules');
    const isLinked = await lstat(link).catch(() => undefined);
    if (modulesDirectory !== undefined && isLinked === undefined) {
      await symlink(modulesDirectory, link);
    }
    return locks;
  }

  /** The commit of the edit: the same on every machine. @throws GitCommandError; EditRefusedError */
  async commit(sources: RunSources, signal: AbortSignal): Promise<string> {
    const { base, edit, editKey, dateMs } = sources;
    await this.edited(sources, signal);
    const message = edit.summary;
    const commit = await this.git.commitAll({ message, editKey, dateMs }, signal);
    return commit === base ? base : commit;
  }

  /** The work tree has the edit, uncommitted. @throws GitCommandError; EditRefusedError */
  async edited({ base, baseBranch, edit }: RunSources, signal: AbortSignal): Promise<void> {
    await this.open(signal);
    await this.have(base, baseBranch, signal);
    await this.git.checkout(base, signal);
    await applyEdit(edit, this.sources);
  }

  /** Fetches the branch unless the commit is here. @throws GitCommandError; BaseBranchMissingError */
  async have(commit: string, branch: string, signal: AbortSignal): Promise<void> {
    const { code } = await this.git.tryRun(['cat-file', '-e', `${commit}^{commit}`], { signal });
    if (code !== 0) await this.git.fetch(branch, signal);
  }

  /** Builds what is in the work tree, and keeps a verified build under that name. */
  async build(name: string, signal: AbortSignal): Promise<BuildOutcome> {
    this.#outputs += 1;
    const outputDirectory = join(this.#directory, `output-${this.#outputs}`);
    await rm(outputDirectory, { recursive: true, force: true });
    const { build: options, clock } = this.#options;
    const sourceDirectory = this.sources;
    const outcome = await runBuild(options, { sourceDirectory, outputDirectory, signal, clock });
    if (outcome.kind === 'built') this.#builds.set(name, outcome.build);
    else await rm(outputDirectory, { recursive: true, force: true });
    return outcome;
  }

  /** A build that this process made. */
  built(name: string): VerifiedBuild | undefined {
    return this.#builds.get(name);
  }

  /** Removes everything of the run from this machine. */
  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }
}
