import {
  type Violation,
  type Package,
  type Repository,
  objectIn,
  violationAt,
} from '../repository.ts';

/** Name, license, engines and README are consistent in all packages. */
export function packagesLookAlike(repository: Repository): Violation[] {
  const root = objectIn(JSON.parse(repository.find('package.json')?.text ?? '{}'));
  const node = objectIn(root['engines'])['node'];
  return repository.packages.flatMap((unit) => {
    const { manifest, name } = unit;
    const violations: Violation[] = [];
    const demand = (holds: boolean, field: string, message: string): void => {
      if (!holds) violations.push(at(repository, unit, field, message));
    };
    demand(manifest['name'] === `@holdfast/${name}`, 'name', `the name is not @holdfast/${name}`);
    demand(manifest['license'] === 'MIT', 'license', 'the license is not MIT');
    demand(manifest['type'] === 'module', 'type', 'the type is not module');
    const engines = objectIn(manifest['engines'])['node'];
    demand(engines === node, 'engines', `engines.node is not the root's ${String(node)}`);
    const readme = repository.find(`packages/${name}/README.md`);
    demand(readme !== undefined, 'name', 'README.md is missing');
    return violations;
  });
}

/** Each entry point is a source in the workspace, and the build of the same file when published. */
export function entryPointsAgree(repository: Repository): Violation[] {
  return repository.packages
    .filter(({ manifest }) => manifest['private'] !== true)
    .flatMap((unit) => {
      const here = objectIn(unit.manifest['exports']);
      const published = objectIn(objectIn(unit.manifest['publishConfig'])['exports']);
      const keys = [...new Set(['.', ...Object.keys(here), ...Object.keys(published)])];
      return keys.flatMap((key) => {
        const message = disagreement(repository, unit, here[key], published[key]);
        return message === undefined
          ? []
          : [at(repository, unit, 'exports', `'${key}' ${message}`)];
      });
    });
}

function disagreement(
  repository: Repository,
  unit: Package,
  here: unknown,
  published: unknown,
): string | undefined {
  const file = /^\.\/src\/(.+)\.ts$/.exec(String(here))?.[1];
  if (file === undefined) return `is ${String(here)} in exports, not ./src/….ts`;
  if (published !== `./dist/${file}.js`) {
    return `is ${String(published)} in publishConfig.exports, not ./dist/${file}.js`;
  }
  const source = `packages/${unit.name}/src/${file}.ts`;
  return repository.find(source) === undefined ? `names ${source}, which is missing` : undefined;
}

function at(repository: Repository, unit: Package, field: string, message: string): Violation {
  const file = repository.find(unit.path);
  const index = file?.text.indexOf(`"${field}"`) ?? -1;
  if (file === undefined || index === -1) return { path: unit.path, line: 1, message };
  return violationAt(file, index, message);
}
