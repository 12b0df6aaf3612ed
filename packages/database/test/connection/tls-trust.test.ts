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

const ENCRYPTED = 'answered over TLS';
const IN_CLEAR = 'answered in clear text';
const REFUSED = 'refused the certificate';
/** Until a refusal is final where several hosts are tried again and again. */
const REFUSED_MS = 2_000;
/** Long: 32 servers and their clients share this process, which may be slow. */
const ANSWERED_MS = 30_000;

/** Every way to give URLs and the option. */
const ways: Readonly<
  Record<string, (urls: readonly string[], ssl: Ssl, waitMs: number) => Client>
> = {
  'createDatabase with a host': ([url = ''], ssl, waitMs) => database(url, ssl, waitMs),
  'createDatabase with two hosts': (urls, ssl, waitMs) => database(urls, ssl, waitMs),
  'a Pool with a URL': ([url], ssl, waitMs) => pool({ connectionString: url, ssl }, {}, waitMs),
  'a Pool with a URL whose parameters name the host': ([url = ''], ssl, waitMs) =>
    pool({ connectionString: withHostParameter(url), ssl }, {}, waitMs),
  'a Pool with a URL and the option of this package': ([url], ssl, waitMs) =>
    pool({ connectionString: url }, { ssl }, waitMs),
  'a Pool with two hosts': (hosts, ssl, waitMs) => pool({ ssl }, { hosts }, waitMs),
};

function database(hosts: string | readonly string[], ssl: Ssl, waitMs: number): Client {
  const options = ssl === undefined ? {} : { ssl };
  const db = createDatabase({ hosts, acquireTimeoutMs: waitMs, max: 1, ...options });
  opened.add(() => db.close({ deadlineMs: 0 }));
  return db;
}

function pool(
  config: Record<string, unknown>,
  more: Record<string, unknown>,
  waitMs: number,
): Client {
  const made = openPool({ connectionTimeoutMillis: waitMs, max: 1, ...config }, more);
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
  expected: Readonly<Record<string, string>>,
  ssl: Ssl,
): Promise<Readonly<Record<string, string>>> {
  const tried = Object.entries(expected).map(async ([query, outcome]) => {
    const waitMs = outcome === REFUSED ? REFUSED_MS : ANSWERED_MS;
    return [query, await outcomeOf(way, query, ssl, waitMs)] as const;
  });
  return Object.fromEntries(await Promise.all(tried));
}

async function outcomeOf(way: string, query: string, ssl: Ssl, waitMs: number): Promise<string> {
  const servers = [
    await openTlsPostgres(opened, credentials),
    await openTlsPostgres(opened, credentials),
  ];
  const urls = servers.map(({ url }) => `${url}${query}`);
  const failure = await ways[way]?.(urls, ssl, waitMs)
    .query('select 1')
    .then(
      () => undefined,
      (error: unknown) => inspect(error),
    );
  const total = (count: 'handshakes' | 'sessions'): number =>
    servers.reduce((sum, server) => sum + server[count](), 0);
  if (failure === undefined) {
    if (total('handshakes') === 0) return IN_CLEAR;
    return total('sessions') === total('handshakes') ? ENCRYPTED : 'answered in both ways';
  }
  // Without a session nobody was asked for the password.
  if (failure.includes('certificate') && total('sessions') === 0) return REFUSED;
  return `${failure}, after ${total('sessions')} sessions`;
}

const all = (queries: readonly string[], outcome: string): Record<string, string> =>
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
    const expected = all(queries, ENCRYPTED);
    expect(await outcomes(way, expected, { ca: authority.certificate })).toEqual(expected);
  });

  test('sends no password to a server of another authority, whatever the URL says', async () => {
    const expected = all(queries, REFUSED);
    expect(await outcomes(way, expected, { ca: stranger.certificate })).toEqual(expected);
  });

  test('verifies the server with ssl: true, also where the URL does not', async () => {
    const expected = all(asking, REFUSED);
    expect(await outcomes(way, expected, true)).toEqual(expected);
  });

  test('trusts any server with rejectUnauthorized: false, also where the URL does not', async () => {
    const expected = all(asking, ENCRYPTED);
    expect(await outcomes(way, expected, { rejectUnauthorized: false })).toEqual(expected);
  });

  test('encrypts nothing with ssl: false, also where the URL does', async () => {
    const expected = all(withoutDirect, IN_CLEAR);
    expect(await outcomes(way, expected, false)).toEqual(expected);
  });

  test('does what the URL says without the option', async () => {
    const expected: Record<string, string> = {
      '': IN_CLEAR,
      // pg itself takes its text for an object of TLS options.
      ...(way.startsWith('createDatabase') && { '?ssl=false': IN_CLEAR }),
      '?ssl=true': REFUSED,
      '?sslmode=verify-full': REFUSED,
      '?ssl=no-verify': ENCRYPTED,
      [`?sslrootcert=${rootFile}`]: ENCRYPTED,
      [`?sslrootcert=${strangeFile}`]: REFUSED,
    };
    expect(await outcomes(way, expected, undefined)).toEqual(expected);
  });
});
