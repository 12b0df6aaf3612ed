import { InvalidOptionError, type OptionRule } from '@holdfast/foundation';
import { type ServerTopology, singleServer } from '../../topology/topology.ts';
import { imageOf } from '../../images.ts';
import { nodeServer } from './emulated-server.ts';
import { sendControlRequest, createControlClient, putSettings } from './control-client.ts';
import type { Environment } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import type { GitFault, GitRequest } from '@holdfast/emulators';
import { locateGit } from './locate-git.ts';
import { type GitSettings, parseGitSettings, repositoryRule } from '@holdfast/emulators/programs';

/** A repository on the remote. */
export interface GitRepository {
  readonly name: string;
  /** What `git clone` takes. */
  readonly url: string;
}

/**
 * A git remote over HTTP: git's own backend behind a server of ours. Repositories and faults outlast a
 * restart; how often a fault has struck, and what was asked, do not.
 */
export interface Git extends ServerHandle {
  /**
   * Makes an empty bare repository whose branch is `main`.
   * @throws InvalidOptionError, also for a name that is taken; StageStateError while it does not run
   */
  createRepository(name: string): Promise<GitRepository>;
  /** One that is there. @throws InvalidOptionError */
  repository(name: string): GitRepository;
  /**
   * Replaces all faults; an empty list heals.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  setFaults(faults: readonly GitFault[]): Promise<void>;
  /** What `git fsck` finds wrong with a repository, in its words; empty when it is whole. */
  check(name: string): Promise<string>;
  /** What it was asked, the newest 10 000 requests. */
  requests(): Promise<readonly GitRequest[]>;
  /** Forgets what it was asked so far. */
  forgetRequests(): Promise<void>;
}

/** `true` stands for one without repositories. */
export const gitRule: OptionRule<GitSettings> = {
  permitted: 'true or an object',
  parse: (value, field, owner) => parseGitSettings(owner, value === true ? {} : value, field),
};

export function gitTopology(settings: GitSettings, env: Environment): ServerTopology<Git> {
  const solo = singleServer({
    compose: { available: true, services: ['git'] },
    docker: { available: true, images: [imageOf('node', env)] },
    locate: () => locateGit(env),
    cast: (address) =>
      nodeServer(
        {
          name: 'git',
          program: 'git',
          settings,
          network: 'bridge',
          url: ({ host, port }) => `http://${host}:${port}`,
          async probe(at, signal) {
            await sendControlRequest(at, { method: 'GET', path: 'health' }, signal);
          },
          async adopt(at, signal) {
            await putSettings('git', at, settings, signal);
          },
        },
        address,
        env,
      ),
  });
  return {
    ...solo,
    toHandle(handles, context) {
      const handle = solo.toHandle(handles, context);
      const steering = createControlClient(handle, settings, context);
      let names = settings.repositories;
      const repository = (name: string): GitRepository => ({
        name,
        url: `${handle.url}/${name}.git`,
      });
      const assertExists = (owner: string, name: string): void => {
        if (names.includes(name)) return;
        throw new InvalidOptionError(owner, 'name', name, 'the name of a repository that is there');
      };
      return Object.assign(handle, {
        async createRepository(name: string) {
          const owner = 'git.createRepository';
          repositoryRule.parse(name, 'name', owner);
          await steering.change('createRepository', (now) => {
            if (now.repositories.includes(name)) {
              const permitted = 'the name of a repository that is not there yet';
              throw new InvalidOptionError(owner, 'name', name, permitted);
            }
            return { ...now, repositories: [...now.repositories, name] };
          });
          names = [...names, name];
          return repository(name);
        },
        repository(name: string) {
          assertExists('git.repository', name);
          return repository(name);
        },
        setFaults: (faults: readonly GitFault[]) =>
          steering.change('setFaults', (now) =>
            parseGitSettings('git.setFaults', { ...now, faults }),
          ),
        async check(name: string) {
          assertExists('git.check', name);
          return String(await steering.ask('check', `fsck/${name}`));
        },
        async requests() {
          return requestsIn(await steering.readLog('requests'));
        },
        forgetRequests: () => steering.clearLog('forgetRequests'),
      });
    },
  };
}

/** Both ends are this package's own, so the list is what the program wrote. */
function requestsIn(said: unknown): readonly GitRequest[] {
  return Array.isArray(said) ? said : [];
}
