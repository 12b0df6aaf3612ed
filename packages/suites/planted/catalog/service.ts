import type { PlantedBug } from '../planted-bug.ts';

const SERVICE = 'packages/catalog/src/service';
const TESTS = 'packages/catalog/test';

export const catalogServiceBugs: readonly PlantedBug[] = [
  {
    name: 'a stale answer looks like a fresh one over HTTP',
    file: `${SERVICE}/origin-headers.ts`,
    sound: 'if (origin.stale) warnings',
    broken: 'if (origin.stale && !origin.complete && origin.ageMs < 0) warnings',
    tests: { path: `${TESTS}/service/bundles`, name: 'stale or incomplete says so' },
  },
  {
    name: 'the password of a server is in a problem',
    file: `${SERVICE}/problem.ts`,
    sound: 'return hideCredentials(describeThrown(text))',
    broken: 'return describeThrown(text)',
    tests: { path: `${TESTS}/service/bundles`, name: 'no tier can answer' },
  },
  {
    name: 'events pile up for a client that does not read them',
    file: `${SERVICE}/event-stream.ts`,
    sound: 'client.writableLength > MAX_WAITING_BYTES',
    broken: 'client.writableLength < 0',
    tests: { path: `${TESTS}/service/events`, name: 'that does not read' },
  },
  {
    name: 'the line of progress is wider than the terminal',
    file: 'packages/catalog/src/command/progress.ts',
    sound: 'if (first.length > width) return',
    broken: 'if (width < 1) return',
    tests: { path: `${TESTS}/command/terminal`, name: 'never wider than the terminal' },
  },
];
