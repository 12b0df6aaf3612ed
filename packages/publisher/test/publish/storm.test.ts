import { expect, test } from '@jest/globals';
import { environment, seededRandom, systemClock } from '@holdfast/foundation';
import type { VerifiedBuild } from '../../src/build/verified-build.ts';
import { SiteStoreError } from '../../src/errors.ts';
import { type FrontDoor, createFrontDoor } from '../../src/publish/front-door.ts';
import { createMemorySiteStore } from '../../src/publish/memory-store.ts';
import { createPublisher } from '../../src/publish/publisher.ts';
import type { SiteStore } from '../../src/publish/site-store.ts';
import { buildOf, stampOf } from './sites.ts';

/** `HOLDFAST_RUNS=10000` for the whole statement. */
const PUBLISHES = Number(environment['HOLDFAST_RUNS'] ?? 150);
const SEED = Number(environment['HOLDFAST_SEED'] ?? 1);
const ASSETS = 6;
const FAULT_SHARE = 0.15;
const FILES = 10_000;
const ROLLBACK_MS = 100;

class Killed extends Error {}

/** A site whose every file says its version. */
function versioned(version: number): Promise<VerifiedBuild> {
  const names = Array.from({ length: ASSETS }, (_, index) => `asset-${index}.txt`);
  const links = names.map((name) => `<a href="/${name}">x</a>`).join('');
  const files = names.map((name) => [name, `v${version}`]);
  return buildOf({
    'index.html': `<html>v${version} ${links}</html>`,
    ...Object.fromEntries(files),
  });
}

/** Any call may fail before or after its effect, be denied, or be the last of its process. */
function weathered(store: SiteStore, random: () => number): SiteStore {
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    if (random() > FAULT_SHARE) return work();
    const which = random();
    if (which < 0.3) throw new SiteStoreError('denied', 'Access Denied');
    if (which < 0.5) throw new SiteStoreError('unavailable', 'SlowDown');
    if (which < 0.7) throw new SiteStoreError('network', 'reset');
    await work();
    if (which < 0.85) throw new SiteStoreError('network', 'the response is lost');
    throw new Killed('SIGKILL');
  };
  return {
    name: store.name,
    get: (key) => run(() => store.get(key)),
    sizeOf: (key) => run(() => store.sizeOf(key)),
    put: (key, body, headers, condition) => run(() => store.put(key, body, headers, condition)),
    list: (prefix) => store.list(prefix),
    remove: (keys) => store.remove(keys),
  };
}

/** A visit: the page, then all that it needs, while publishes go on. */
async function visit(door: FrontDoor): Promise<string> {
  const page = await door.answer({ path: '/' });
  if (page.status !== 200) return `the page is ${page.status}`;
  const version = /v\d+/.exec(String(page.body))?.[0] ?? '';
  for (let index = 0; index < ASSETS; index += 1) {
    const asset = await door.answer({ path: `/asset-${index}.txt`, release: page.release });
    if (asset.status !== 200) return `an asset is ${asset.status}`;
    if (String(asset.body) !== version) return `${version} with ${String(asset.body)}`;
  }
  return 'whole';
}

test('whatever fails at whichever step of a publish, no visit sees a missing or a mixed page', async () => {
  const random = seededRandom(SEED);
  const store = createMemorySiteStore();
  const door = createFrontDoor({ store, pointerTtlMs: 0, cacheMaxBytes: 0 });
  const publisher = createPublisher({
    store: weathered(store, random),
    retryDelayMs: 0,
    maxUploadAttempts: 2,
    keptReleases: 100,
    random,
  });
  await createPublisher({ store }).publish(await versioned(0), stampOf(0));
  const builds = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((version) => versioned(version)));
  const seen = new Set<string>();
  const outcomes = new Map<string, number>();
  for (let order = 1; order <= PUBLISHES; order += 1) {
    const build = builds[order % builds.length];
    if (build === undefined) throw new Error('no build');
    const publishing = publisher.publish(build, stampOf(order)).then(
      ({ kind }) => kind,
      (error: unknown) => (error instanceof Killed ? 'killed' : Promise.reject(error)),
    );
    const visits = await Promise.all([visit(door), visit(door)]);
    const outcome = await publishing;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    for (const what of [...visits, await visit(door)]) seen.add(what);
  }
  expect([...seen]).toEqual(['whole']);
  // The storm was one.
  for (const outcome of ['published', 'failed', 'killed']) {
    expect(outcomes.get(outcome)).toBeGreaterThan(PUBLISHES / 50);
  }
});

test('a site of ten thousand files is rolled back by one write, and a change uploads only itself', async () => {
  const store = createMemorySiteStore();
  const publisher = createPublisher({ store });
  const files = Object.fromEntries(
    Array.from({ length: FILES - 1 }, (_, index) => [`file-${index}.txt`, `content ${index}`]),
  );
  const first = await buildOf({ ...files, 'index.html': '<html>one</html>' });
  await publisher.publish(first, stampOf(1));
  const second = await buildOf({ ...files, 'index.html': '<html>two</html>' });
  const outcome = await publisher.publish(second, stampOf(2));
  expect(outcome).toMatchObject({ kind: 'published', uploadedBytes: '<html>two</html>'.length });
  const beganMs = systemClock.now();
  const pointer = await publisher.rollback();
  expect(systemClock.now() - beganMs).toBeLessThan(ROLLBACK_MS);
  expect(pointer).toMatchObject({ release: first.digest });
});
