import { parse } from 'yaml';
import {
  type Repository,
  type RepositoryFile,
  type Rule,
  type Violation,
  objectIn,
  violationAt,
} from '../repository.ts';

const WORKFLOW = /^\.github\/workflows\/[\w-]+\.ya?ml$/;
const ACTION = /^\.github\/actions\/[\w-]+\/action\.ya?ml$/;
const COMPOSE = /^docker-compose[\w.-]*\.ya?ml$/;
const PINNED = /^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/;
const VERSION_COMMENT = /#[ \t]*v\d+\.\d+\.\d+[ \t]*$/;
/** The actions of this repository, as others call them. */
const OWN = /^holdfast-js\/holdfast\/(\.github\/[\w./-]+)@v(.+)$/;
/** What a job may be allowed to write, each for one purpose: a signed publication, the alerts of the code scan. */
const GRANTS = new Set(['id-token', 'security-events']);
/** An import of the built file of a published package, by the path that it has in a project. */
const BUILT = /^node_modules\/@holdfast\/([\w-]+)\/dist\/(.+)\.js$/;

/** A step of a workflow or of a composite action. */
type Step = Readonly<Record<string, unknown>>;

/** The action of every step is at a commit, whose version stands beside it, the same everywhere. */
export const actionsArePinned: Rule = (repository) => {
  const versions = new Map<string, string>();
  return filesOf(repository).flatMap((file) =>
    stepsOf(file).flatMap((step) => {
      const uses = step['uses'];
      if (typeof uses !== 'string') return [];
      const obstacle = obstacleOf(repository, file, uses, versions);
      return obstacle === undefined ? [] : [at(file, uses, `'${uses}' ${obstacle}`)];
    }),
  );
};

function obstacleOf(
  repository: Repository,
  file: RepositoryFile,
  uses: string,
  versions: Map<string, string>,
): string | undefined {
  if (uses.startsWith('./')) {
    return obstacleOfFolder(repository, uses.slice(2));
  }
  const [, folder, version] = OWN.exec(uses) ?? [];
  if (folder !== undefined) {
    const released = repository.packages[0]?.manifest['version'];
    if (version !== released) return `is not at v${String(released)}, the version of the packages`;
    return obstacleOfFolder(repository, folder);
  }
  if (!PINNED.test(uses)) return 'is not at a commit of 40 digits';
  const lines = file.text.split('\n').filter((line) => line.includes(uses));
  if (!lines.every((line) => VERSION_COMMENT.test(line))) return 'has no version in a comment';
  const [name = '', commit = ''] = uses.split('@');
  const owner = name.split('/').slice(0, 2).join('/');
  const known = versions.get(owner) ?? commit;
  versions.set(owner, known);
  return known === commit ? undefined : `is at ${known} elsewhere`;
}

function obstacleOfFolder({ files }: Repository, folder: string): string | undefined {
  const isAction = files.some(({ path }) => path.startsWith(`${folder}/action.`));
  return isAction ? undefined : 'is not in the repository';
}

/** A workflow may read the contents; a job may write only what its purpose takes. */
export const workflowsReadOnly: Rule = (repository) =>
  workflowsOf(repository).flatMap((file) => {
    const workflow = parsed(file);
    const isLeast = JSON.stringify(workflow['permissions']) === '{"contents":"read"}';
    const violations = isLeast
      ? []
      : [at(file, 'permissions:', "permissions are not 'contents: read'")];
    return violations.concat(
      jobsOf(workflow).flatMap(([name, { permissions = {} }]) =>
        excessOf(permissions).map((right) =>
          at(file, `${name}:`, `the job '${name}' has ${right}`),
        ),
      ),
    );
  });

/** The rights of a job beyond those that some purpose takes. */
function excessOf(permissions: unknown): string[] {
  if (typeof permissions === 'string') return [`'${permissions}'`];
  return Object.entries(objectIn(permissions))
    .filter(([scope, right]) => right !== 'read' && !GRANTS.has(scope))
    .map(([scope, right]) => `'${scope}: ${String(right)}'`);
}

/** Every job has a limit; the default of GitHub is six hours. */
export const jobsHaveATimeout: Rule = (repository) =>
  workflowsOf(repository).flatMap((file) =>
    jobsOf(parsed(file))
      .filter(([, job]) => job['uses'] === undefined && job['timeout-minutes'] === undefined)
      .map(([name]) => at(file, `${name}:`, `the job '${name}' has no timeout-minutes`)),
  );

/**
 * A step runs scripts that exist, and takes what comes from outside through its environment: an expression in a script
 * is text that whoever names a branch can write.
 */
export const stepsRunWhatExists: Rule = (repository) => {
  const scripts = objectIn(
    objectIn(JSON.parse(repository.find('package.json')?.text ?? '{}'))['scripts'] ?? {},
  );
  return filesOf(repository).flatMap((file) =>
    stepsOf(file).flatMap((step) => {
      const run = step['run'];
      if (typeof run !== 'string') return [];
      const [line = ''] = run.split('\n');
      const named = [...run.matchAll(/(?:npm run|node --run|pnpm run) ([\w:-]+)/g)]
        .map(([, name = '']) => name)
        .filter((name) => !Object.hasOwn(scripts, name));
      const files = [...run.matchAll(/\bnode ([\w@./-]+\.(?:m?js|ts))/g)]
        .map(([, path = '']) => path)
        .filter((path) => !exists(repository, path));
      const faults = [
        run.includes('${{') ? ['an expression in a script'] : [],
        named.map((name) => `package.json has no script '${name}'`),
        files.map((path) => `'${path}' does not exist`),
      ];
      return faults.flat().map((fault) => at(file, line, fault));
    }),
  );
};

/** The job that is required needs every other one of its workflow. */
export const nothingIsMergedWithoutAJob: Rule = (repository) =>
  workflowsOf(repository).flatMap((file) => {
    const jobs = jobsOf(parsed(file));
    const last = jobs.find(([name]) => name === 'passed');
    if (last === undefined) return [];
    const needed = new Set([last[1]['needs']].flat());
    return jobs
      .filter(([name]) => name !== 'passed' && !needed.has(name))
      .map(([name]) => at(file, `${name}:`, `'passed' does not need the job '${name}'`));
  });

/** Compose waits for the health of every service. */
export const servicesHaveAHealthCheck: Rule = (repository) =>
  repository.files
    .filter(({ path }) => COMPOSE.test(path))
    .flatMap((file) =>
      Object.entries(objectIn(parsed(file)['services'] ?? {}))
        .filter(([, service]) => objectIn(service ?? {})['healthcheck'] === undefined)
        .map(([name]) => at(file, `  ${name}:`, `the service '${name}' has no healthcheck`)),
    );

function exists(repository: Repository, path: string): boolean {
  const [, name, file] = BUILT.exec(path) ?? [];
  return (
    repository.find(name === undefined ? path : `packages/${name}/src/${file}.ts`) !== undefined
  );
}

function workflowsOf({ files }: Repository): RepositoryFile[] {
  return files.filter(({ path }) => WORKFLOW.test(path));
}

function filesOf({ files }: Repository): RepositoryFile[] {
  return files.filter(({ path }) => WORKFLOW.test(path) || ACTION.test(path));
}

function parsed(file: RepositoryFile): Readonly<Record<string, unknown>> {
  return objectIn(parse(file.text, { merge: true, maxAliasCount: -1 }));
}

function jobsOf(workflow: Readonly<Record<string, unknown>>): [string, Step][] {
  const jobs = objectIn(workflow['jobs'] ?? {});
  return Object.entries(jobs).map(([name, job]) => [name, objectIn(job ?? {})]);
}

function stepsOf(file: RepositoryFile): Step[] {
  const root = parsed(file);
  const holders = [objectIn(root['runs'] ?? {}), ...jobsOf(root).map(([, job]) => job)];
  return holders.flatMap(({ steps }) => (Array.isArray(steps) ? steps.map(objectIn) : []));
}

function at(file: RepositoryFile, text: string, message: string): Violation {
  return violationAt(file, Math.max(0, file.text.indexOf(text)), message);
}
