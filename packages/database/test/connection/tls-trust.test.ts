import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { createCertificateAuthority } from '@holdfast/faults';
import { createDatabase } from '../../src/index.ts';
import { openPool } from '../pg/open-pool.ts';
import { Opened } from '../open-database.ts';
import { openTlsPostgres } from './tls-postgres.ts';

const authority = createCertificateAuthority();
const stranger = createCertificateAuthority();
const credentials = authority.issue({ hostnames: ['localhost', '127.0.0.1'] });
const folder = mkdtempSync(join(tmpdir(), 'tls-'));
const rootFile = join(folder, 'root.pem');
const strangeFile = join(folder, 'strange.pem');
writeFileSync(rootFile, authority.certificate);
writeFileSync(strangeFile, stranger.certificate);

const opened = new Opened();
afterEach(() => opened.close());
afterAll(() => rmSync(folder, { recursive: true }));

type Ssl = boolean | Record<string, unknown> | undefined;

interface Client {
  query(sql: string): Promise<unknown>;
}

const ACQUIRE_MS = 2_000;

/** Every way to give URLs and the option. */
const ways: Readonly<Record<string, (urls: readonly string[], ssl: Ssl) => Client>> = {
  'createDatabase with a host': ([url = ''], ssl) => database(url, ssl),
  'createDatabase with two hosts': (urls, ssl) => database(urls, ssl),
  'a Pool with a URL': ([url], ssl) => pool({ connectionString: url, ssl }, {}),
  'a Pool with a URL whose parameters name the host': ([url = ''], ssl) =>
    pool({ connectionString: withHostParameter(url), ssl }, {}),
  'a Pool with a URL and the option of this package': ([url], ssl) =>
    pool({ connectionString: url }, { ssl }),
  'a Pool with two hosts': (hosts, ssl) => pool({ ssl }, { hosts }),
};

function database(hosts: string | readonly string[], ssl: Ssl): Client {
  const options = ssl === undefined ? {} : { ssl };
  const db = createDatabase({ hosts, acquireTimeoutMs: ACQUIRE_MS, max: 1, ...options });
  opened.add(() => db.close({ deadlineMs: 0 }));
  return db;
}

function pool(config: Record<string, unknown>, more: Record<string, unknown>): Client {
  const made = openPool({ connectionTimeoutMillis: ACQUIRE_MS, max: 1, ...config }, more);
  opened.add(() => made.holdfast.close({ deadlineMs: 0 }));
  return made;
}

/** `postgres://user:password@/name?host=..`, which pg takes and `URL` does not. */
function withHostParameter(url: string): string {
  const { username, password, hostname, port, pathname, searchParams } = new URL(url);
  const more = new URLSearchParams([['host', hostname], ['port', port], ...searchParams]);
  return `postgres://${username}:${password}@${pathname}?${more.toString()}`;
}

/** What became of `select 1` with each URL, all tried at once. */
async function outcomes(
  way: string,
  queries: readonly string[],
  ssl: Ssl,
): Promise<Readonly<Record<string, string>>> {
  const tried = queries.map(async (query) => [query, await outcomeOf(way, query, ssl)] as const);
  return Object.fromEntries(await Promise.all(tried));
}

async function outcomeOf(way: string, query: string, ssl: Ssl): Promise<string> {
  const servers = [
    await openTlsPostgres(opened, credentials),
    await openTlsPostgres(opened, credentials),
  ];
  const urls = servers.map(({ url }) => `${url}${query}`);
  const failure = await ways[way]?.(urls, ssl)
    .query('select 1')
    .then(
      () => undefined,
      (error: unknown) => inspect(error),
    );
  const total = (count: 'handshakes' | 'sessions'): number =>
    servers.reduce((sum, server) => sum + server[count](), 0);
  if (failure === undefined) {
    if (total('handshakes') === 0) return 'answered in clear text';
    return total('sessions') === total('handshakes')
      ? 'answered over TLS'
      : 'answered in both ways';
  }
  // Without a session nobody was asked for the password.
  if (failure.includes('certificate') && total('sessions') === 0) return 'refused the certificate';
  return `${failure}, after ${total('sessions')} sessions`;
}

const all = (queries: readonly string[], outcome: string): Readonly<Record<string, string>> =>
  Object.fromEntries(queries.map((query) => [query, outcome]));

/** URLs that ask for TLS of every kind, for none, or say nothing. */
const queries = [
  '',
  '?ssl=true',
  '?ssl=1',
  '?ssl=no-verify',
  '?ssl=false',
  '?sslmode=disable',
  '?sslmode=prefer',
  '?sslmode=require',
  '?sslmode=verify-full',
  '?sslmode=no-verify',
  '?sslmode=require&uselibpqcompat=true',
  '?sslnegotiation=direct',
  '?sslnegotiation=direct&sslmode=require',
  '?%73sl=no-verify',
  `?sslrootcert=${rootFile}`,
  `?sslrootcert=${strangeFile}`,
];
const asking = queries.filter((query) => !/^$|false|disable/.test(query));
const withoutDirect = queries.filter((query) => !query.includes('direct'));

describe.each(Object.keys(ways))('%s', (way) => {
  test('trusts the authority of the option, whatever the URL says', async () => {
    const ssl = { ca: authority.certificate };
    expect(await outcomes(way, queries, ssl)).toEqual(all(queries, 'answered over TLS'));
  });

  test('sends no password to a server of another authority, whatever the URL says', async () => {
    const ssl = { ca: stranger.certificate };
    expect(await outcomes(way, queries, ssl)).toEqual(all(queries, 'refused the certificate'));
  });

  test('verifies the server with ssl: true, also where the URL does not', async () => {
    const refused = all(asking, 'refused the certificate');
    expect(await outcomes(way, asking, true)).toEqual(refused);
  });

  test('trusts any server with rejectUnauthorized: false, also where the URL does not', async () => {
    const ssl = { rejectUnauthorized: false };
    expect(await outcomes(way, asking, ssl)).toEqual(all(asking, 'answered over TLS'));
  });

  test('encrypts nothing with ssl: false, also where the URL does', async () => {
    const plain = all(withoutDirect, 'answered in clear text');
    expect(await outcomes(way, withoutDirect, false)).toEqual(plain);
  });

  test('does what the URL says without the option', async () => {
    const expected = {
      '': 'answered in clear text',
      '?ssl=false': 'answered in clear text',
      '?ssl=true': 'refused the certificate',
      '?sslmode=verify-full': 'refused the certificate',
      '?ssl=no-verify': 'answered over TLS',
      [`?sslrootcert=${rootFile}`]: 'answered over TLS',
      [`?sslrootcert=${strangeFile}`]: 'refused the certificate',
    };
    const given = Object.keys(expected).filter(
      // pg itself takes its text for an object of TLS options.
      (query) => query !== '?ssl=false' || way.startsWith('createDatabase'),
    );
    const seen = await outcomes(way, given, undefined);
    expect(seen).toEqual(
      Object.fromEntries(given.map((query) => [query, Reflect.get(expected, query)])),
    );
  });
});
