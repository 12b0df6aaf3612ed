import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Rule, objectIn, readRepository, repositoryOf } from '../src/repository.ts';
import {
  actionsArePinned,
  jobsHaveATimeout,
  nothingIsMergedWithoutAJob,
  servicesHaveAHealthCheck,
  stepsRunWhatExists,
  workflowsReadOnly,
} from '../src/workflows/workflow-rules.ts';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../../..');
const repository = readRepository(root);
const SHA = '3d3c42e5aac5ba805825da76410c181273ba90b1';

test.each<[string, Rule]>([
  ['actions are pinned', actionsArePinned],
  ['workflows only read', workflowsReadOnly],
  ['jobs have a timeout', jobsHaveATimeout],
  ['steps run what exists', stepsRunWhatExists],
  ['the required job needs all others', nothingIsMergedWithoutAJob],
  ['services of compose have a health check', servicesHaveAHealthCheck],
])('in the repository %s', (_, rule) => {
  const violations = rule(repository).map(
    ({ path, line, message }) => `${path}:${line} ${message}`,
  );
  expect(violations).toEqual([]);
});

/** The violations of a workflow of one job with these lines. */
function violationsOf(
  rule: Rule,
  job: string,
  head = 'permissions:\n  contents: read\n',
): string[] {
  const lines = job.split('\n').map((line) => `    ${line}`);
  const files = {
    '.github/workflows/a.yml': `${head}jobs:\n  one:\n${lines.join('\n')}\n`,
    '.github/actions/setup/action.yml': 'runs:\n  steps: []\n',
    'package.json': '{"scripts":{"check":"true"}}',
    'packages/report/package.json': '{"version":"0.1.0"}',
    'packages/report/src/bin/main.ts': '',
  };
  return rule(repositoryOf(files)).map(({ message }) => message);
}

test('an action without a commit, without its version or at two commits is reported', () => {
  const steps = (...uses: string[]): string[] =>
    violationsOf(actionsArePinned, `steps:\n${uses.map((each) => `  - uses: ${each}`).join('\n')}`);
  expect(steps('actions/checkout@v7')).toEqual([expect.stringContaining('40 digits')]);
  expect(steps(`actions/checkout@${SHA}`)).toEqual([expect.stringContaining('no version')]);
  expect(steps('./.github/actions/absent')).toEqual([expect.stringContaining('not in the')]);
  expect(steps('holdfast-js/holdfast/.github/actions/setup@v0.0.9')).toHaveLength(1);
  const pinned = `actions/checkout@${SHA} # v7.0.1`;
  const own = 'holdfast-js/holdfast/.github/actions/setup@v0.1.0';
  expect(steps(pinned, './.github/actions/setup', own)).toEqual([]);
  expect(steps(pinned, `actions/checkout@${'0'.repeat(40)} # v7.0.1`)).toHaveLength(1);
});

test('a workflow that may write is reported, and a job that signs a publication passes', () => {
  const rights = (job: string, head?: string): string[] =>
    violationsOf(workflowsReadOnly, job, head);
  expect(rights('steps: []')).toEqual([]);
  expect(rights('permissions:\n  contents: read\n  id-token: write')).toEqual([]);
  expect(rights('permissions:\n  contents: write')).toHaveLength(1);
  expect(rights('permissions: write-all')).toHaveLength(1);
  expect(rights('steps: []', 'on: push\n')).toHaveLength(1);
  expect(rights('steps: []', 'permissions: write-all\n')).toHaveLength(1);
});

test('a job without a limit is reported', () => {
  expect(violationsOf(jobsHaveATimeout, 'steps: []')).toHaveLength(1);
  expect(violationsOf(jobsHaveATimeout, 'timeout-minutes: 5')).toEqual([]);
});

test('a script or file that does not exist, and an expression in a script, are reported', () => {
  const step = (run: string): string[] =>
    violationsOf(stepsRunWhatExists, `steps:\n  - run: ${run}`);
  expect(step('npm run check')).toEqual([]);
  expect(step('node packages/report/src/bin/main.ts --all')).toEqual([]);
  expect(step('node node_modules/@holdfast/report/dist/bin/main.js')).toEqual([]);
  expect(step('npm run chek')).toEqual([expect.stringContaining("'chek'")]);
  expect(step('node packages/report/src/bin/gone.ts')).toHaveLength(1);
  expect(step('node node_modules/@holdfast/report/dist/bin/gone.js')).toHaveLength(1);
  expect(step('echo ${{ github.head_ref }}')).toEqual([expect.stringContaining('expression')]);
});

test('a job that the required one does not need is reported', () => {
  const file = (needs: string): string =>
    `jobs:\n  one:\n    steps: []\n  passed:\n    needs: ${needs}\n`;
  const report = (needs: string): number =>
    nothingIsMergedWithoutAJob(repositoryOf({ '.github/workflows/a.yml': file(needs) })).length;
  expect(report('[one]')).toBe(0);
  expect(report('[]')).toBe(1);
});

test('a service without a health check is reported, also when it merges another', () => {
  const file = (service: string): string =>
    `x-base: &base\n  healthcheck: { test: [] }\nservices:\n  one:\n    ${service}\n`;
  const report = (service: string): number =>
    servicesHaveAHealthCheck(repositoryOf({ 'docker-compose.test.yml': file(service) })).length;
  expect(report('image: a')).toBe(1);
  expect(report('<<: *base')).toBe(0);
});

test('the recipe for other repositories gives inputs that exist, and its table lists them all', () => {
  const recipe = repository.find('docs/recipes/ci.md')?.text ?? '';
  const workflow = objectIn(parse(textOf('.github/workflows/suites.yml')));
  const called = objectIn(objectIn(objectIn(workflow['on'])['workflow_call'])['inputs']);
  const action = objectIn(objectIn(parse(textOf('.github/actions/suites/action.yml')))['inputs']);
  const [job = '', step = ''] = [...recipe.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text);
  const { uses, with: given } = objectIn(objectIn(objectIn(parse(job))['jobs'])['suites']);
  const version = `v${String(repository.packages[0]?.manifest['version'])}`;
  expect(uses).toBe(`holdfast-js/holdfast/.github/workflows/suites.yml@${version}`);
  expect(Object.keys(called)).toEqual(expect.arrayContaining(Object.keys(objectIn(given))));
  expect(job.trim().split('\n').length).toBeLessThanOrEqual(20);
  const [own]: unknown[] = [parse(step)].flat();
  expect(objectIn(own)['uses']).toBe(`holdfast-js/holdfast/.github/actions/suites@${version}`);
  expect(Object.keys(action)).toEqual(
    expect.arrayContaining(Object.keys(objectIn(objectIn(own)['with']))),
  );
  const rows = [...recipe.matchAll(/^\| `([\w-]+)` +\|/gm)].map(([, name = '']) => name);
  expect(rows.toSorted()).toEqual(Object.keys(called).toSorted());
});

test('the setup action finds the pnpm that setup.mjs pins', () => {
  const action = repository.find('.github/actions/setup/action.yml')?.text ?? '';
  const [, pattern = ''] = /sed -n "s\/(.+?)\/\\1\/p" setup\.mjs/.exec(action) ?? [];
  const pinned = new RegExp(pattern.replace('\\(', '(').replace('\\)', ')'), 'm');
  const [, version = ''] = pinned.exec(repository.find('setup.mjs')?.text ?? '') ?? [];
  expect(version).toMatch(/^pnpm@12\.\d+\.\d+$/);
});

function textOf(path: string): string {
  return repository.find(path)?.text ?? '';
}
