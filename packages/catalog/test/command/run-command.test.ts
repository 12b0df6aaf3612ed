import { describe, expect, test } from '@jest/globals';
import { CatalogUnauthorizedError } from '@holdfast/catalog';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Invocation, commands } from '../../src/command/configuration.ts';
import { Interruption } from '../../src/command/context.ts';
import { CatalogLockedError } from '../../src/lock/errors.ts';
import type { SyncProgress } from '../../src/sync/catalog-sync.ts';
import { NoTierError } from '../service/fixture.ts';
import { LockedError, Screen, fakeTiers, outcomeOf, run } from './fake-tiers.ts';

const clock = createFakeClock();

describe('usage', () => {
  test('is printed without a command, to stderr, with exit code 2', async () => {
    const { code, out, err } = await run([], { clock });
    expect([code, out]).toEqual([2, '']);
    for (const name of Object.keys(commands)) expect(err).toContain(`  ${name}`);
  });

  test.each(['sync', 'search', 'status', 'serve'] as const)(
    'of %s has each flag with its variable, in 100 columns',
    async (name) => {
      const { code, out } = await run(['help', name], { clock });
      expect(code).toBe(0);
      for (const [flag, { variable = '' }] of Object.entries(commands[name].flags)) {
        const line = out.split('\n').find((each) => each.startsWith(`  --${flag}`));
        expect(line).toContain(variable);
      }
      expect(out.split('\n').filter((line) => line.length > 100)).toEqual([]);
      expect(await run([name, '--help'], { clock })).toEqual({ code: 0, out, err: '' });
    },
  );

  test('has the version of the package', async () => {
    expect(await run(['--version'], { clock })).toMatchObject({ code: 0, out: '0.1.0\n' });
  });

  test.each([
    [['nope'], 'no command "nope"'],
    [['help', 'nope'], 'no command "nope"'],
    [['help', '__proto__'], 'no command'],
    [['sync', '--nope'], "'catalog help sync'"],
    [['sync', 'word'], "'catalog help sync'"],
    [['sync', '--redis'], "'catalog help sync'"],
    [['sync', '--redis', 'http://x'], 'CATALOG_REDIS_URL'],
    [['sync', '--database', 'x'], 'CATALOG_DATABASE_URL'],
    [['sync', '--api-url', 'ftp://x'], 'ESIM_GO_API_URL'],
    [['sync', '--supabase-url', 'https://x'], 'CATALOG_SUPABASE_KEY'],
    [['serve', '--port', '70000'], '0 to 65535'],
    [['serve', '--port', '-1'], "'catalog help serve'"],
    [['serve', '--sync-every-hours', '0'], '1 to 720'],
    [['search', '--min-price', 'x'], 'minPrice must be a number'],
    [['search', '--limit', '5000'], '0 to 1000'],
    [['search', '--unlimited', 'yes'], 'true or false'],
    [['search', '--facets', 'x'], 'facets'],
  ])('%j is refused with 2, before anything is done, with the way out', async (args, remedy) => {
    const { code, out, err } = await run(args, { clock });
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(remedy);
  });

  test('a wrong URL does not show its password', async () => {
    const variables = { CATALOG_REDIS_URL: 'http://user:hunter2@host' };
    const { code, err } = await run(['status'], { clock, variables });
    expect(code).toBe(2);
    expect(err).not.toContain('hunter2');
  });
});

describe('the configuration', () => {
  const invocationOf = async (
    args: string[],
    variables: Record<string, string>,
  ): Promise<Invocation> => {
    let opened: Invocation | undefined;
    await run(args, { clock, variables, onOpen: (invocation) => (opened = invocation) });
    if (opened === undefined) throw new Error('nothing was opened');
    return opened;
  };

  test('comes from variables, which flags override, and empty ones do not count', async () => {
    const variables = {
      ESIM_GO_API_KEY: 'key',
      ESIM_GO_API_URL: '',
      CATALOG_REDIS_URL: 'redis://one',
      CATALOG_DATABASE_URL: 'postgres://one:5432,two:5433/db',
      CATALOG_DIRECTORY: '/var/lib/catalog',
    };
    const { connections } = await invocationOf(['sync', '--redis', 'rediss://two'], variables);
    expect(connections).toEqual({
      apiKey: 'key',
      apiUrl: undefined,
      redisUrl: 'rediss://two',
      databaseUrl: 'postgres://one:5432,two:5433/db',
      supabase: undefined,
      directory: '/var/lib/catalog',
      prefix: 'catalog',
    });
  });

  test('of a search has its filters by their names in a query', async () => {
    const args = ['search', 'europe', '5g', '--min-data-mb', '1000', '--country=DE'];
    const { filters, words } = await invocationOf(args, {});
    expect([...filters]).toEqual([
      ['country', 'DE'],
      ['minDataMb', '1000'],
    ]);
    expect(words).toEqual(['europe', '5g']);
  });
});

describe('sync', () => {
  test('prints one line on stdout, its progress on stderr, and closes what it has opened', async () => {
    const progress: SyncProgress = {
      phase: 'fetching',
      pages: 1,
      reusedPages: 0,
      rows: 50,
      expectedRows: 100,
    };
    const tiers = fakeTiers(async ({ onProgress } = {}) => {
      onProgress?.(progress);
      return outcomeOf();
    });
    const { code, out, err } = await run(['sync'], { clock, tiers });
    expect(code).toBe(0);
    expect(out).toBe(
      'generation 4: 5,148 bundles of 1 groups, 104 pages (100 known), in 12 s, to redis, backup\n',
    );
    expect(err).toBe('fetching 50 of about 100 bundles, 1 pages, 0.0 s\n');
    expect(tiers.closed).toEqual(['tiers']);
  });

  test('that is not complete, or not everywhere, says why, with exit code 5', async () => {
    const { manifest } = outcomeOf();
    const tiers = fakeTiers(async () =>
      outcomeOf({
        manifest: { ...manifest, complete: false },
        failed: [{ target: 'redis', cause: new Error('redis is away') }],
        keptGroups: [{ name: 'A\u001b[2J', generation: 3, cause: new Error('500') }],
      }),
    );
    const { code, err } = await run(['sync'], { clock, tiers });
    expect(code).toBe(5);
    expect(err).toContain('not published to redis: redis is away');
    expect(err).toContain('group A [2J is that of generation 3: 500');
  });

  test('prints JSON if asked to', async () => {
    const tiers = fakeTiers(async () => outcomeOf());
    const { out } = await run(['sync', '--json'], { clock, tiers });
    expect(JSON.parse(out)).toMatchObject({
      manifest: { generation: 4 },
      published: ['redis', 'backup'],
    });
  });

  test.each([
    ['another process syncs', new CatalogLockedError('redis', 5_000), 4, 'try again'],
    ['the key is refused', new CatalogUnauthorizedError('/x', 403, 'no'), 1, 'ESIM_GO_API_KEY'],
    ['anything else is thrown', new TypeError('x is not a function'), 1, 'x is not a function'],
    ['a string is thrown', 'odd', 1, 'odd'],
  ])('says what to do when %s', async (_when, error, expected, remedy) => {
    const tiers = fakeTiers(async () => {
      return Promise.reject(error);
    });
    const { code, out, err } = await run(['sync'], { clock, tiers });
    expect([code, out]).toEqual([expected, '']);
    expect(err).toContain(remedy);
    expect(err.split('\n')).toHaveLength(2);
    expect(tiers.closed).toEqual(['tiers']);
  });

  test('without a key says which variable to set', async () => {
    const { code, err } = await run(['sync'], { clock });
    expect(code).toBe(2);
    expect(err).toContain('ESIM_GO_API_KEY');
  });

  test('that is interrupted leaves the terminal in order, and ends with the number of the signal', async () => {
    const controller = new AbortController();
    const tiers = fakeTiers(
      ({ signal, onProgress } = {}) =>
        new Promise((_resolve, reject) => {
          onProgress?.({ phase: 'locking', pages: 0, reusedPages: 0, rows: 0, expectedRows: 1 });
          signal?.addEventListener('abort', () => reject(signal.reason));
          controller.abort(new Interruption('SIGTERM', 15));
        }),
    );
    const given = { clock, tiers, signal: controller.signal, columns: 80 };
    const { code, err } = await run(['sync'], given);
    expect(code).toBe(143);
    expect(err.endsWith('\r\u001b[Kcatalog: interrupted by SIGTERM\n')).toBe(true);
    expect(tiers.closed).toEqual(['tiers']);
  });
});

describe('search', () => {
  test('prints a table on stdout, and where it is from on stderr', async () => {
    const tiers = fakeTiers();
    const { code, out, err } = await run(['search', '--sort', 'name', '--limit', '3'], {
      clock,
      tiers,
    });
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toHaveLength(3);
    expect(err).toBe('3 of 60 bundles; generation 7 from memory, 91 s old\n');
    expect(tiers.closed).toEqual(['catalog', 'tiers']);
  });

  test('never writes over the width of the terminal', async () => {
    for (const columns of [10, 40, 80]) {
      const { out } = await run(['search', '--facets', 'country,group'], { clock, columns });
      for (const line of out.split('\n')) expect(line.length).toBeLessThan(columns);
    }
  });

  test('takes words as text, and prints JSON with the facets', async () => {
    const { out } = await run(['search', 'esim', '1gb', '--facets', 'unlimited', '--json'], {
      clock,
    });
    const printed = JSON.parse(out);
    expect(printed.total).toBeGreaterThan(0);
    expect(printed.facets.unlimited).toEqual([{ value: 'false', count: printed.total }]);
  });

  test('with nothing to search ends with 3 and names the next command', async () => {
    const tiers = fakeTiers();
    tiers.fake.failure = new NoTierError();
    const { code, err } = await run(['search'], { clock, tiers });
    expect(code).toBe(3);
    expect(err).toContain("'catalog sync'");
  });
});

describe('status', () => {
  const { manifest } = outcomeOf();
  const tier = (name: string, read: () => Promise<typeof manifest | undefined>) => ({
    tier: name,
    read,
  });
  const epochMs = manifest.syncedAtEpochMs;

  test('prints what each tier has, and ends with 0 when all have the newest', async () => {
    const tiers = fakeTiers(undefined, [
      tier('redis', async () => manifest),
      tier('backup', async () => manifest),
    ]);
    const given = { clock: createFakeClock(epochMs + 3_600_000), tiers };
    const { code, out } = await run(['status'], given);
    expect(code).toBe(0);
    expect(out).toContain('redis            4    5,148  60 min  newest');
  });

  test.each([
    ['one is away', async () => Promise.reject(new LockedError('redis is away')), 'redis is away'],
    ['one is behind', async () => ({ ...manifest, generation: 3 }), 'behind'],
    ['one has none', async () => undefined, 'has no generation yet'],
  ])('ends with 5 when %s', async (_when, read, printed) => {
    const tiers = fakeTiers(undefined, [tier('a', read), tier('b', async () => manifest)]);
    const { code, out } = await run(['status'], { clock: createFakeClock(epochMs), tiers });
    expect(code).toBe(5);
    expect(out).toContain(printed);
  });

  test('ends with 5 when the newest is stale, and with 3 when there is none', async () => {
    const stale = fakeTiers(undefined, [tier('a', async () => manifest)]);
    const late = createFakeClock(epochMs + 31 * 86_400_000);
    expect((await run(['status'], { clock: late, tiers: stale })).code).toBe(5);
    const none = fakeTiers(undefined, [tier('a', async () => undefined)]);
    expect((await run(['status', '--json'], { clock, tiers: none })).code).toBe(3);
  });
});

test('serve answers until it is interrupted, tells what happens, and ends with 0', async () => {
  const controller = new AbortController();
  const screens = { out: new Screen(), err: new Screen() };
  const tiers = fakeTiers();
  const given = { clock, tiers, signal: controller.signal, screens };
  const ended = run(['serve', '--port', '0'], given);
  while (!screens.out.text.endsWith('\n')) await new Promise(setImmediate);
  const url = /http:\S+/.exec(screens.out.text)?.[0] ?? '';
  expect((await fetch(`${url}/bundles?limit=1`)).status).toBe(200);
  expect(screens.err.text).toContain('ESIM_GO_API_KEY is not set');
  tiers.emit('sync-failed', { error: new LockedError('catalog: it failed') });
  tiers.emit('served', { source: 'api', generation: 9, ageMs: 0, stale: false, complete: true });
  expect(screens.err.text).toContain('catalog: it failed. Wait');
  expect(screens.err.text).toContain('serves generation 9 from api');
  controller.abort(new Interruption('SIGTERM', 15));
  expect((await ended).code).toBe(0);
  await expect(fetch(url)).rejects.toThrow('fetch failed');
  expect(tiers.closed).toEqual(['catalog', 'tiers']);
});
