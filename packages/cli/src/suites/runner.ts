import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import { NoSuitesError } from '../errors.ts';

/** What runs suites: the scripts of a checkout of Holdfast, or the Jest of the package in which the command is called. */
export interface SuiteRunner {
  readonly kind: 'checkout' | 'jest';
  readonly folder: string;
  /** The words after `node` that run the suites which a part of a path selects; then flags of Jest. */
  commandFor(patterns: readonly string[], flags?: readonly string[]): readonly string[];
}

const JEST_FLAGS = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];

/** Looks in this folder and those above it; a package of a checkout belongs to the checkout. @throws NoSuitesError */
export function findSuites(folder: string): SuiteRunner {
  const found = firstAbove(folder, checkoutAt) ?? firstAbove(folder, jestAt);
  if (found === undefined) throw new NoSuitesError(folder);
  return found;
}

function firstAbove(
  folder: string,
  find: (folder: string) => SuiteRunner | undefined,
): SuiteRunner | undefined {
  const parent = dirname(folder);
  return find(folder) ?? (parent === folder ? undefined : firstAbove(parent, find));
}

function checkoutAt(folder: string): SuiteRunner | undefined {
  const isCheckout =
    existsSync(join(folder, 'run.mjs')) && existsSync(join(folder, 'packages/suites/test'));
  if (!isCheckout) return undefined;
  return {
    kind: 'checkout',
    folder,
    commandFor: (patterns, flags = []) => ['run.mjs', 'infrastructure', ...patterns, ...flags],
  };
}

/** The Jest of a package that has it and `@holdfast/report`, without which its tests record no scenario. */
function jestAt(folder: string): SuiteRunner | undefined {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest) || !dependsOn(manifest, '@holdfast/report')) return undefined;
  try {
    const jest = createRequire(manifest).resolve('jest/bin/jest');
    const run = [...JEST_FLAGS, jest];
    return {
      kind: 'jest',
      folder,
      commandFor: (patterns, flags = []) => [...run, ...patterns, ...flags],
    };
  } catch {
    return undefined;
  }
}

function dependsOn(manifest: string, name: string): boolean {
  try {
    const given: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
    return ['dependencies', 'devDependencies'].some(
      (field) => propertyOf(propertyOf(given, field), name) !== undefined,
    );
  } catch {
    return false;
  }
}
