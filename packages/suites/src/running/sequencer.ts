import { createRequire } from 'node:module';
import { sep } from 'node:path';
import { planTestFiles } from '@holdfast/report';
import type testSequencer from '@jest/test-sequencer';

/**
 * The file of each family that tells most in the least time, in the order in which they run: whoever watches a run sees
 * a server killed and nothing lost within seconds. Jest starts files in this order however many run at a time.
 */
const tellingFirst: readonly string[] = [
  'redis-failover/server/outages',
  'database-recovery/outages',
  'supabase-fallback/outages',
  'network-failures/cache-redis-outages',
  'catalog-fallback/chain',
  'chaos/storm',
  'resource-limits/disk',
  'catalog-sync/redis-outages',
  'catalog-chaos/weather',
  'catalog-concurrent/searches',
  'client-errors/databases',
  'storage-conformance/s3-contract',
];

// Its declarations are those of its CommonJS module alone.
const { default: Sequencer }: typeof testSequencer = createRequire(import.meta.url)(
  '@jest/test-sequencer',
);

type Tests = Parameters<InstanceType<typeof Sequencer>['sort']>[0];

/** Runs the most telling file of each family first, the others in Jest's own order. */
export default class TellingSequencer extends Sequencer {
  override async sort(tests: Tests): Promise<Tests> {
    // Jest's own order, by earlier failures and durations; it is no array's method.
    // oxlint-disable-next-line unicorn/no-array-sort
    const others = await super.sort(tests);
    const rankOf = ({ path }: Tests[number]): number => {
      const rank = tellingFirst.findIndex((name) => path.endsWith(fileOf(name)));
      return rank === -1 ? tellingFirst.length : rank;
    };
    const sorted = others.toSorted((a, b) => rankOf(a) - rankOf(b));
    planTestFiles(sorted.map(({ path }) => path));
    return sorted;
  }
}

function fileOf(name: string): string {
  return `/packages/suites/test/${name}.test.ts`.replaceAll('/', sep);
}
