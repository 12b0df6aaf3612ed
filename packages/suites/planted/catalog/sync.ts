import type { PlantedBug } from '../planted-bug.ts';

const SYNC = 'packages/catalog/src/sync';
const TESTS = 'packages/catalog/test/sync';

export const catalogSyncBugs: readonly PlantedBug[] = [
  {
    name: 'a lease that was lost is no reason not to publish',
    file: `${SYNC}/create-catalog-sync.ts`,
    sound: 'AbortSignal.any([signal, lease.signal])',
    broken: 'AbortSignal.any([signal])',
    tests: { path: `${TESTS}/catalog-sync`, name: 'by who has lost the lock' },
  },
  {
    name: 'after a newer leader the next store is published to',
    file: `${SYNC}/publication.ts`,
    sound: 'cause instanceof CatalogFencedError ||',
    broken: '',
    tests: { path: `${TESTS}/catalog-sync`, name: 'a store knows a newer leader' },
  },
  {
    name: 'a backup that fails before it reads keeps the sync for ever',
    file: `${SYNC}/feed.ts`,
    sound: 'if (!readable.locked) readable.cancel(error).catch(() => {});',
    broken: '',
    tests: { path: `${TESTS}/unchanged`, name: 'what the backup did not take before' },
  },
  {
    name: 'a page that was kept for a group that failed counts as fetched after a crash',
    file: `${SYNC}/kept-groups.ts`,
    sound: '({ ...page, paging: undefined })',
    broken: 'page',
    tests: { path: `${TESTS}/groups`, name: 'is asked for again after a crash' },
  },
  {
    name: 'pages of a sync that began long ago are taken for new ones',
    file: `${SYNC}/pages/sync-plan.ts`,
    sound: 'ageMs <= resumeWithinMs',
    broken: 'true',
    tests: { path: `${TESTS}/pages`, name: 'when it is too long ago' },
  },
  {
    name: 'pages that are older than a published generation are published after it',
    file: `${SYNC}/pages/sync-plan.ts`,
    sound: ' && after <= running.after',
    broken: '',
    tests: { path: `${TESTS}/pages`, name: 'publishes none of it' },
  },
  {
    name: 'a lock that has lost its count is not told of the token that a store has seen',
    file: `${SYNC}/create-catalog-sync.ts`,
    sound: 'above: error.token',
    broken: 'above: 0',
    tests: { path: `${TESTS}/catalog-sync`, name: 'is told of the token that a store has seen' },
  },
];
