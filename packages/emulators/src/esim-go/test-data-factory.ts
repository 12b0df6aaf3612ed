import { integer } from '@holdfast/foundation';
import type { ESIMGoDataPlan } from './catalog/data-plan.ts';
import { SyntheticCatalog } from './catalog/synthetic-catalog.ts';

const countRule = integer({ min: 0, max: 10_000_000 });

/** Makes bundles for tests: the same arguments make the same bundles, which are those that the emulator serves. */
export const TestDataFactory = {
  /** @param overrides fields that replace those of the bundle. @param seed default 1. */
  createBundle(overrides: Partial<ESIMGoDataPlan> = {}, seed: number = 1): ESIMGoDataPlan {
    const [bundle] = bundlesOf(seed, 1);
    if (bundle === undefined) throw new RangeError('a catalog of one bundle has none');
    return { ...bundle, ...overrides };
  },

  /**
   * Bundles with names of their own, in a group of any name: with one that the API does not have, its bundles are
   * unlike those of all others.
   * @param seed default 1.
   * @throws InvalidOptionError for a count that is none
   */
  createBundles(count: number, groupName: string, seed: number = 1): ESIMGoDataPlan[] {
    const wanted = countRule.parse(count, 'count', 'createBundles');
    const catalog = catalogOf(seed, 0);
    const [first] = catalog.groups;
    const isKnown = catalog.groups.includes(groupName);
    const group = isKnown ? groupName : first;
    catalog.drift(group, wanted);
    const bundles = parsed(catalog);
    if (isKnown) return bundles;
    const suffix = encodeURIComponent(groupName).replaceAll('%', '').toUpperCase();
    for (const bundle of bundles) {
      bundle.name += `_${suffix}`;
      bundle.groups = [groupName];
    }
    return bundles;
  },

  /** A bundle as text that is not JSON, because it is cut. @param seed default 1. */
  createCorruptedBundle(seed: number = 1): string {
    const text = JSON.stringify(TestDataFactory.createBundle({}, seed));
    return text.slice(0, Math.floor(text.length * 0.6));
  },

  /**
   * Bundles of all groups, with sizes as in the API.
   * @param seed default 1.
   * @throws InvalidOptionError for a size that is none
   */
  createLargeDataset(size: number, seed: number = 1): ESIMGoDataPlan[] {
    return bundlesOf(seed, countRule.parse(size, 'size', 'createLargeDataset'));
  },
};

function catalogOf(seed: number, rows: number): SyntheticCatalog {
  return new SyntheticCatalog({ seed, rows, revision: 0, changedShare: 0, roaming: 'absent' });
}

function bundlesOf(seed: number, rows: number): ESIMGoDataPlan[] {
  return parsed(catalogOf(seed, rows));
}

function parsed(catalog: SyntheticCatalog): ESIMGoDataPlan[] {
  return Array.from(catalog.select({}), (row): ESIMGoDataPlan => JSON.parse(catalog.textOf(row)));
}
