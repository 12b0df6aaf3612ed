import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BaseBranchMissingError, GitCommandError } from '../errors.ts';
import { type GitCall, type GitCredential, type GitDeps, git } from './git-command.ts';
import { type RemoteProbe, probeRemote } from './probe-remote.ts';
import { OWNER_FILE, removeStaleLocks } from './stale-locks.ts';

/** A workspace and its remote. */
export interface WorkspaceOptions extends GitDeps {
  /** The URL of the remote without credentials. */
  readonly url: string;
  /** The credential at this moment. */
  readonly credential: () => GitCredential | undefined;
  /** The longest that the remote may not answer, in milliseconds. */
  readonly probeTimeoutMs: number;
  /** The age from which a lock of git may be removed, in milliseconds. */
  readonly staleLockMs: number;
}

/** One commit to make. */
export interface CommitSpec {
  readonly message: string;
  /** Identifies the edit, on every branch and after every rebase. */
  readonly editKey: string;
  readonly dateMs: number;
}

const TRAILER = 'Holdfast-Edit';
const DESCRIBED_ARGS = 2;

/** A clone that belongs to one session, and that can be made again from the remote at any time. */
export class GitWorkspace {
  readonly #options: WorkspaceOptions;

  constructor(options: WorkspaceOptions) {
    this.#options = options;
  }

  get directory(): string {
    return this.#options.directory;
  }

  get url(): string {
    return this.#options.url;
  }

  /** Makes or cleans the clone: locks of a dead process and half-done work are removed. @returns removed locks */
  async open(signal?: AbortSignal): Promise<readonly string[]> {
    const { directory, staleLockMs, clock } = this.#options;
    const folder = join(directory, '.git');
    await mkdir(directory, { recursive: true });
    const exists = await access(join(folder, 'HEAD')).then(
      () => true,
      () => false,
    );
    const locks = exists ? await removeStaleLocks(folder, { minAgeMs: staleLockMs, clock }) : [];
    if (!exists) {
      await rm(folder, { recursive: true, force: true });
      await this.run(['init', '--quiet', '--initial-branch=work'], { signal });
    }
    await writeFile(join(folder, OWNER_FILE), String(process.pid));
    return locks;
  }

  /** Asks the remote for its branches. */
  async probe(signal?: AbortSignal): Promise<RemoteProbe> {
    const { url, clock, probeTimeoutMs: timeoutMs } = this.#options;
    return probeRemote({ url, credential: this.#options.credential(), timeoutMs, clock, signal });
  }

  /** Fetches a branch; its commit. @throws BaseBranchMissingError; GitCommandError */
  async fetch(branch: string, signal?: AbortSignal): Promise<string> {
    const ref = `refs/remotes/origin/${branch}`;
    const args = ['fetch', '--quiet', '--no-tags', this.url, `+refs/heads/${branch}:${ref}`];
    const { code, stderr } = await this.tryRun(args, { ...this.#remoteCall(), signal });
    if (code !== 0 && /couldn't find remote ref/.test(stderr)) {
      throw new BaseBranchMissingError(branch);
    }
    if (code !== 0) throw new GitCommandError('fetch', stderr.trim());
    return this.run(['rev-parse', ref], { signal });
  }

  /** The work tree becomes that commit and nothing else. @throws GitCommandError */
  async checkout(commit: string, signal?: AbortSignal): Promise<void> {
    await this.run(['checkout', '--quiet', '--force', '--detach', commit], { signal });
    await this.run(['clean', '-ffdq'], { signal });
  }

  /**
   * Commits all files. The same files, parent, key and date make the same commit, in every workspace.
   * @returns the commit; the parent when nothing has changed. @throws GitCommandError
   */
  async commitAll({ message, editKey, dateMs }: CommitSpec, signal?: AbortSignal): Promise<string> {
    await this.run(['add', '--all', '.'], { signal });
    const tree = await this.run(['write-tree'], { signal });
    const parent = await this.run(['rev-parse', 'HEAD'], { signal });
    if (tree === (await this.run(['rev-parse', 'HEAD^{tree}'], { signal }))) return parent;
    const text = `${message}\n\n${TRAILER}: ${editKey}\n`;
    const args = ['commit-tree', tree, '-p', parent, '-m', text];
    const commit = await this.run(args, { dateMs, signal });
    await this.run(['checkout', '--quiet', '--force', '--detach', commit], { signal });
    return commit;
  }

  /**
   * Puts a single commit on top of another without a work tree.
   * @returns the new commit, or the files that both sides changed. @throws GitCommandError
   */
  async rebaseOnto(
    commit: string,
    onto: string,
    signal?: AbortSignal,
  ): Promise<{ readonly commit: string } | { readonly paths: readonly string[] }> {
    const merged = await this.tryRun(
      ['merge-tree', '--write-tree', '--name-only', '--no-messages', onto, commit],
      { signal },
    );
    const [tree = '', ...paths] = merged.stdout.trim().split('\n');
    if (merged.code === 1) return { paths: [...new Set(paths)] };
    if (merged.code !== 0) throw new GitCommandError('merge-tree', merged.stderr.trim());
    const text = await this.run(['show', '--no-patch', '--format=%B', commit], { signal });
    const date = await this.run(['show', '--no-patch', '--format=%ct', commit], { signal });
    const args = ['commit-tree', tree, '-p', onto, '-m', `${text.trim()}\n`];
    return { commit: await this.run(args, { dateMs: Number(date) * 1_000, signal }) };
  }

  /** The commit of this edit among those of a branch, under whichever hash. @throws GitCommandError */
  async findEdit(
    editKey: string,
    since: string,
    tip: string,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    // Anchored: the key of one edit may be the beginning of another's.
    const line = `^${TRAILER}: ${editKey.replaceAll(/[^\w-]/g, (sign) => `[${sign}]`)}$`;
    const grep = ['--extended-regexp', `--grep=${line}`, '--max-count=1'];
    const range = (await this.isAncestor(since, tip, signal)) ? `${since}..${tip}` : tip;
    const found = await this.run(['log', '--format=%H', ...grep, range], { signal });
    return found === '' ? undefined : found;
  }

  /** @throws GitCommandError */
  async isAncestor(older: string, newer: string, signal?: AbortSignal): Promise<boolean> {
    const { code, stderr } = await this.tryRun(['merge-base', '--is-ancestor', older, newer], {
      signal,
    });
    if (code === 0 || code === 1) return code === 0;
    // A commit that was never fetched is nobody's ancestor here.
    if (/Not a valid/.test(stderr)) return false;
    throw new GitCommandError('merge-base', stderr.trim());
  }

  /** How many commits lead to this one: of two commits of one branch the later has more. @throws GitCommandError */
  async depthOf(commit: string, signal?: AbortSignal): Promise<number> {
    return Number(await this.run(['rev-list', '--count', commit], { signal }));
  }

  /** Sends a commit to a branch, without force. */
  async send(
    commit: string,
    branch: string,
    signal?: AbortSignal,
  ): Promise<{ readonly isAccepted: boolean; readonly reason: string }> {
    const args = ['push', '--porcelain', this.url, `${commit}:refs/heads/${branch}`];
    const result = await this.tryRun(args, { ...this.#remoteCall(), signal });
    const rejection = result.stdout.split('\n').find((line) => line.startsWith('!'));
    const reason = rejection?.split('\t').at(-1) ?? result.stderr.trim();
    return { isAccepted: result.code === 0, reason };
  }

  /** @throws GitCommandError when it does not end with 0 */
  async run(args: readonly string[], call: GitCall = {}): Promise<string> {
    const { code, stdout, stderr, endedBy } = await this.tryRun(args, call);
    if (code === 0) return stdout.trim();
    const why = endedBy === 'exited' ? stderr.trim() || `ended with ${code}` : endedBy;
    throw new GitCommandError(args.slice(0, DESCRIBED_ARGS).join(' '), why);
  }

  async tryRun(args: readonly string[], call: GitCall): ReturnType<typeof git> {
    const result = await git(this.#options, args, call);
    if (result.endedBy === 'aborted') call.signal?.throwIfAborted();
    return result;
  }

  #remoteCall(): GitCall {
    const value = this.#options.credential();
    return value === undefined ? {} : { credential: { url: this.url, value } };
  }
}
