import type { GitFault, GitRequest } from '@holdfast/emulators';
import { type GitSettings, parseGitSettings, repositoryRule } from '@holdfast/emulators/programs';
import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';
import type { ServerHandle } from '../../handle/handle.ts';
import type { Environment } from '../../system/executable.ts';
import type { ServerTopology } from '../../topology/topology.ts';
import { type ControlClient, sendControlRequest } from './control-client.ts';
import {
  emulatedRule,
  emulatedServer,
  replaceSettings,
  type RequestRecords,
  requestRecords,
} from './emulated-server.ts';
import { locateGit } from './locate-git.ts';

/** A repository on the remote. */
export interface GitRepository {
  readonly name: string;
  /** The URL for `git clone`. */
  readonly url: string;
}

/**
 * A git remote over HTTP: git's own backend behind an emulated server. Repositories and faults survive a
 * restart; the counts of faults and the requests do not.
 */
export interface Git extends ServerHandle, RequestRecords<GitRequest> {
  /**
   * Creates an empty bare repository whose branch is `main`.
   * @throws InvalidOptionError, also when the name is taken; StageStateError while it does not run
   */
  createRepository(name: string): Promise<GitRepository>;
  /** A repository that exists. @throws InvalidOptionError */
  repository(name: string): GitRepository;
  /**
   * Replaces all faults; an empty list heals.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  setFaults(faults: readonly GitFault[]): Promise<void>;
  /** The errors that `git fsck` prints for a repository; empty when it is intact. */
  check(name: string): Promise<string>;
}

/** `true`: a remote without repositories. */
export const gitRule: OptionRule<GitSettings> = emulatedRule(parseGitSettings);

export function gitTopology(settings: GitSettings, env: Environment): ServerTopology<Git> {
  return emulatedServer(
    {
      name: 'git',
      program: 'git',
      settings,
      scheme: 'http',
      locate: () => locateGit(env),
      probe: (endpoint, signal) =>
        sendControlRequest(endpoint, { method: 'GET', path: 'health' }, signal),
      configureExisting: replaceSettings('git', settings),
      api: (handle, client) => gitApi(handle, client, settings.repositories),
    },
    env,
  );
}

function gitApi(
  { url }: ServerHandle,
  client: ControlClient<GitSettings>,
  existing: readonly string[],
): Omit<Git, keyof ServerHandle> {
  let names = existing;
  const repositoryOf = (name: string): GitRepository => ({ name, url: `${url}/${name}.git` });
  const assertExists = (owner: string, name: string): void => {
    if (names.includes(name)) return;
    throw new InvalidOptionError(owner, 'name', name, 'the name of an existing repository');
  };
  return {
    async createRepository(name) {
      const owner = 'git.createRepository';
      repositoryRule.parse(name, 'name', owner);
      await client.change('createRepository', (present) => {
        if (present.repositories.includes(name)) {
          throw new InvalidOptionError(owner, 'name', name, 'the name of no existing repository');
        }
        return { ...present, repositories: [...present.repositories, name] };
      });
      names = [...names, name];
      return repositoryOf(name);
    },
    repository(name) {
      assertExists('git.repository', name);
      return repositoryOf(name);
    },
    setFaults: (faults) =>
      client.change('setFaults', (present) =>
        parseGitSettings('git.setFaults', { ...present, faults }),
      ),
    async check(name) {
      assertExists('git.check', name);
      return String(await client.query('check', `fsck/${name}`));
    },
    ...requestRecords(client),
  };
}
