import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { type DatabaseOptions, createDatabase } from '../../src/index.ts';
import { Opened, failureOf } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** The parameters of the start-up packet. */
async function startUp(
  query: string,
  options: Partial<DatabaseOptions> = {},
): Promise<Readonly<Record<string, string>> | undefined> {
  const server = await createFakePostgres({});
  opened.add(() => server.close());
  const db = createDatabase({ hosts: `${server.url}${query}`, ...options });
  opened.add(() => db.close({ deadlineMs: 0 }));
  await db.query('select 1');
  return server.sessions()[0]?.parameters;
}

test('the option wins over the URL, and the URL over the default', async () => {
  expect(await startUp('')).toMatchObject({ application_name: 'holdfast', user: 'fake' });
  expect(await startUp('?fallback_application_name=f')).toMatchObject({ application_name: 'f' });
  expect(await startUp('?application_name=url')).toMatchObject({ application_name: 'url' });
  const both = startUp('?application_name=url', { applicationName: 'option' });
  expect(await both).toMatchObject({ application_name: 'option' });
});

test('what a URL says of the session is sent at its start', async () => {
  const query = '?options=-c%20work_mem%3D8MB&statement_timeout=7&lock_timeout=8';
  expect(await startUp(query)).toMatchObject({
    options: '-c work_mem=8MB',
    statement_timeout: '7',
    lock_timeout: '8',
  });
});

test.each(['?ssl=false', '?ssl=0', '?sslmode=disable'])(
  '%s connects without TLS',
  async (query) => {
    expect(await startUp(query)).toBeDefined();
  },
);

test.each<[string, Partial<DatabaseOptions>]>([
  ['?ssl=0', { ssl: true }],
  ['?ssl=false', { ssl: {} }],
  ['?sslmode=disable', { ssl: { rejectUnauthorized: false } }],
  ['?ssl=no-verify', { ssl: true }],
  ['?ssl=true', {}],
  ['?sslmode=prefer', {}],
  ['?sslmode=allow', {}],
  ['?channel_binding=require', {}],
])('with %s and the options %j nothing is sent without TLS', async (query, options) => {
  const server = await createFakePostgres({});
  opened.add(() => server.close());
  const db = createDatabase({ hosts: `${server.url}${query}`, ...options });
  opened.add(() => db.close({ deadlineMs: 0 }));
  expect(await failureOf(db.query('select 1'))).toMatchObject({ code: 'DATABASE_CONNECT_REFUSED' });
  expect(server.sessions()).toHaveLength(0);
});

test('without TLS, channel binding that is required refuses the server before the password is sent', async () => {
  const server = await createFakePostgres({ password: 'right' });
  opened.add(() => server.close());
  const hosts = `${server.url}?channel_binding=require`;
  const db = createDatabase({ hosts, ssl: false });
  opened.add(() => db.close({ deadlineMs: 0 }));
  expect(await failureOf(db.query('select 1'))).toMatchObject({
    code: 'DATABASE_CONNECT_REFUSED',
    message: expect.stringContaining('NO_CHANNEL_BINDING'),
  });
});

test('connect_timeout of the URL holds for its host, and the option wins', async () => {
  const server = await createFakePostgres({ behavior: { reception: 'silent' } });
  opened.add(() => server.close());
  const errorOf = async (options: Partial<DatabaseOptions>): Promise<unknown> => {
    const hosts = `${server.url}?connect_timeout=1`;
    const db = createDatabase({ hosts, acquireTimeoutMs: 1_500, ...options });
    opened.add(() => db.close({ deadlineMs: 0 }));
    return String(await failureOf(db.query('select 1')));
  };
  expect(await errorOf({})).toContain('within 1000 ms');
  expect(await errorOf({ connectTimeoutMs: 30 })).toContain('within 30 ms');
});

test.each(['silent', 'frozen'] as const)(
  'attempts that end at the connect timeout leave no connection at a server that is %s',
  async (how) => {
    const server = await createFakePostgres({
      behavior: how === 'silent' ? { reception: 'silent' } : { frozen: true },
    });
    opened.add(() => server.close());
    const options = { connectTimeoutMs: 20, acquireTimeoutMs: 150 };
    const db = createDatabase({ hosts: server.url, max: 3, ...options });
    opened.add(() => db.close({ deadlineMs: 0 }));
    await Promise.all([1, 2, 3].map(async () => failureOf(db.query('select 1'))));
    expect(db.getStats().hosts[0]?.connectFailures).toBeGreaterThan(0);
    await until(() => db.getStats().hosts[0]?.connecting === 0);
    if (how === 'frozen') server.setBehavior({ frozen: false });
    // The database is still open, and asks for nothing.
    await until(() => server.connectionsOpen === 0);
    expect(db.getStats().hosts).toMatchObject([{ total: 0 }]);
  },
);

/** Resolves when the condition holds, or after three seconds, so that a loop does not outlive its test. */
async function until(condition: () => boolean): Promise<void> {
  const endMs = systemClock.now() + 3_000;
  while (!condition() && systemClock.now() < endMs) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(condition()).toBe(true);
}
