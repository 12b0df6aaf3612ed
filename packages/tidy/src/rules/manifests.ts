import {
  type Violation,
  type Package,
  type Repository,
  objectIn,
  publishedPackagesIn,
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

/** Each entry point is a source, of which `pack.mjs` publishes the build; the manifest itself is one too. */
export function entryPointsAgree(repository: Repository): Violation[] {
  return publishedPackagesIn(repository).flatMap((unit) => {
    const { '.': index, './package.json': own, ...others } = objectIn(unit.manifest['exports']);
    const entries = Object.entries({ '.': index, ...others });
    const messages = entries.flatMap(([key, source]) =>
      disagreement(repository, unit, key, source),
    );
    if (own !== './package.json') messages.push("'./package.json' is not exported");
    return messages.map((message) => at(repository, unit, 'exports', message));
  });
}

function disagreement(
  repository: Repository,
  unit: Package,
  key: string,
  source: unknown,
): string[] {
  const file = /^\.\/(src\/.+\.ts)$/.exec(String(source))?.[1];
  if (file === undefined) return [`'${key}' is ${String(source)} in exports, not ./src/….ts`];
  const path = `packages/${unit.name}/${file}`;
  return repository.find(path) === undefined ? [`'${key}' names ${path}, which is missing`] : [];
}

/** What a published package says of itself, and what its tarball contains. */
export function publishedPackagesAreDescribed(repository: Repository): Violation[] {
  const root = objectIn(JSON.parse(repository.find('package.json')?.text ?? '{}'));
  const url = String(objectIn(root['repository'])['url']);
  const site = url.replace(/^git\+/, '').replace(/\.git$/, '');
  const [first] = publishedPackagesIn(repository);
  return publishedPackagesIn(repository).flatMap((unit) => {
    const { manifest, name } = unit;
    const wanted: Readonly<Record<string, unknown>> = {
      version: first?.manifest['version'],
      homepage: `${site}/tree/main/packages/${name}#readme`,
      bugs: `${site}/issues`,
      repository: { type: 'git', url, directory: `packages/${name}` },
      publishConfig: { access: 'public' },
      sideEffects: false,
      scripts: { prepack: 'node ../../pack.mjs prepare', postpack: 'node ../../pack.mjs restore' },
    };
    const violations = Object.entries(wanted)
      .filter(([field, value]) => JSON.stringify(manifest[field]) !== JSON.stringify(value))
      .map(([field, value]) =>
        at(repository, unit, field, `${field} is not ${JSON.stringify(value)}`),
      );
    const { files, keywords, description } = manifest;
    const missing = (list: unknown, ...values: string[]): boolean =>
      !Array.isArray(list) || values.some((value) => !list.includes(value));
    if (missing(files, 'dist', 'src', 'CHANGELOG.md')) {
      const message = 'files lack dist, src (for the source maps) or CHANGELOG.md';
      violations.push(at(repository, unit, 'files', message));
    }
    if (!Array.isArray(keywords) || keywords.length === 0 || typeof description !== 'string') {
      violations.push(at(repository, unit, 'keywords', 'keywords or a description are missing'));
    }
    return violations;
  });
}

function at(repository: Repository, unit: Package, field: string, message: string): Violation {
  const file = repository.find(unit.path);
  const index = file?.text.indexOf(`"${field}"`) ?? -1;
  if (file === undefined || index === -1) return { path: unit.path, line: 1, message };
  return violationAt(file, index, message);
}
