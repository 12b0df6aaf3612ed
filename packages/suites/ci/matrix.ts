import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The oldest Node that `engines` allows, the one that the workspace has, and the newest. */
export const nodeVersions = ['22', '24', '26'] as const;
/** The stages that a runner of CI can open by itself. */
const stages = ['local', 'docker'] as const;

/** One job of the workflow: a family of suites on a stage and a version of Node. */
interface MatrixJob {
  readonly node: string;
  readonly stage: string;
  readonly family: string;
}

/** The families of the suites: the folders of `packages/suites/test` with a test file, in alphabetical order. */
export function suiteFamilies(root: string): string[] {
  const folder = join(root, 'packages/suites/test');
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .filter((name) =>
      readdirSync(join(folder, name), { recursive: true, encoding: 'utf8' }).some((path) =>
        path.endsWith('.test.ts'),
      ),
    )
    .toSorted((left, right) => left.localeCompare(right, 'en'));
}

/** Every family on every stage and version of Node. */
export function matrixOf(families: readonly string[]): { include: MatrixJob[] } {
  const include = nodeVersions.flatMap((node) =>
    stages.flatMap((stage) => families.map((family) => ({ node, stage, family }))),
  );
  return { include };
}
