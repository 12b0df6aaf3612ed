import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { parseAddress } from '../../src/address/address.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-address-'));
afterAll(() => rmSync(folder, { recursive: true }));
const ca = join(folder, 'ca.pem');
writeFileSync(ca, 'the authority');

const BASE = 'postgres://app:pw@db.example:6432/shop';

function refusalOf(url: string): Error {
  try {
    parseAddress(url, 'hosts', 'createDatabase');
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new TypeError('it was not refused');
}

const secret = 'hunter2';
const pasted = ['?', '#', '/', '@', '%', '\n', '\t', '%zz', '/3@', '?a=b', '#@', '@:', '/a?b#c@d'];

test.each(
  pasted.flatMap((mark) => [
    `postgres://app:${secret}${mark}${secret}@db.example:6432/shop`,
    `postgres://app:1234${mark}${secret}@db.example:6432/shop`,
    `postgres://app:${mark}${secret}@db.example/shop?sslmode=require`,
    `postgres://app:${secret}${mark}@[::1]:6432/shop?application_name=x`,
    `postgresql://app${mark}${secret}:1234@db.example/`,
  ]),
)('a URL with a password pasted into it is refused, and the way out named: %j', (url) => {
  const error = refusalOf(url);
  expect(error).toMatchObject({ code: 'INVALID_OPTION', field: 'hosts' });
  expect(error.message).toContain('%40');
  expect(inspect(error)).not.toContain(secret);
  expect(inspect(error)).not.toContain('1234');
});

test.each([
  'postgres://app:hunter2',
  'postgres://app:hunter2/shop',
  'app:hunter2@db.example/shop',
  'host=db.example password=hunter2',
  'hunter2',
  'mysql://app:hunter2@db.example/shop',
  'postgres://app:hunter2@db.example:99999/shop',
  'postgres://app:hunter2@a,b/shop',
  'postgres://app:pw@db.example/shop?password=hunter2',
  'postgres://app:pw@db.example/shop?hunter2',
  'postgres://app:pw@db.example/shop?x=hunter2',
  'postgres://app:pw@db.example/shop?hunter2=x',
  'postgres://app:pw@db.example/shop?sslpassword=a&hunter2=x',
  'postgres://app:pw@db.example/shop?sslmode=hunter2',
  'postgres://app:pw@db.example/shop?options=',
  'postgres://app:pw@db.example/shop?sslcert=/hunter2',
])('nothing of %j is shown that may be a secret', (url) => {
  expect(inspect(refusalOf(url))).not.toContain(secret);
});

test.each([
  ['schema=hunter', 'hosts?schema '],
  ['sslmode=require&target_session_attrs=hunter', 'hosts?target_session_attrs '],
  ['connectionLimit=hunter', 'hosts?connectionLimit '],
  ['hunter', 'hosts?*** '],
  ['sslpassword=a&hunter=x', 'hosts?*** '],
])('of the unknown parameter in %j the name is shown: %j', (query, shown) => {
  const message = String(refusalOf(`${BASE}?${query}`));
  expect(message).toContain(shown);
  expect(message).not.toContain('hunter');
});

test('what certainly is the host is shown', () => {
  expect(refusalOf('postgres://app:hunter2@db.example:99999/shop').message).toContain(
    'postgres://***@db.example:99999/shop',
  );
});

test.each([
  ['plain', 'pw', 'pw'],
  ['with a colon', 'a:b', 'a:b'],
  ['with a space', 'a b', 'a b'],
  ['escaped', encodeURIComponent('?#/@%:& +\\[]é'), '?#/@%:& +\\[]é'],
  ['with a backslash', 'a\\b', 'a\\b'],
  ['with brackets', 'a[b]', 'a[b]'],
])('a password %s arrives as it is', (_, written, password) => {
  const address = parseAddress(
    ` postgres://app:${written}@db.example/shop\n`,
    'hosts',
    'createDatabase',
  );
  expect(address).toMatchObject({ user: 'app', password, host: 'db.example', port: 5_432 });
});

/** TLS with the certificate and the name verified. */
const VERIFIED = true;
const UNVERIFIED = { rejectUnauthorized: false };
const REFUSED = 'refused';
const TEXT = 'the authority';

test.each<[string, unknown]>([
  ['', undefined],
  ['ssl=true', VERIFIED],
  ['ssl=1', VERIFIED],
  ['ssl=false', false],
  ['ssl=0', false],
  ['ssl=no-verify', UNVERIFIED],
  ['ssl=', REFUSED],
  ['ssl=yes', REFUSED],
  ['ssl=True', REFUSED],
  ['sslmode=disable', false],
  ['sslmode=allow', VERIFIED],
  ['sslmode=prefer', VERIFIED],
  ['sslmode=require', VERIFIED],
  ['sslmode=verify-ca', VERIFIED],
  ['sslmode=verify-full', VERIFIED],
  ['sslmode=no-verify', UNVERIFIED],
  ['sslmode=required', REFUSED],
  ['sslmode=', REFUSED],
  ['sslmode=require&sslmode=disable', REFUSED],
  ['ssl=true&sslmode=require', VERIFIED],
  ['ssl=true&sslmode=no-verify', UNVERIFIED],
  ['ssl=no-verify&sslmode=verify-full', VERIFIED],
  ['ssl=false&sslmode=require', REFUSED],
  ['ssl=0&sslmode=no-verify', REFUSED],
  ['ssl=true&sslmode=disable', REFUSED],
  ['ssl=false&sslmode=disable', false],
  ['uselibpqcompat=true&sslmode=disable', false],
  ['uselibpqcompat=true&sslmode=prefer', UNVERIFIED],
  ['uselibpqcompat=true&sslmode=require', UNVERIFIED],
  ['uselibpqcompat=true&sslmode=verify-ca', REFUSED],
  ['uselibpqcompat=true&sslmode=verify-full', VERIFIED],
  ['uselibpqcompat=false&sslmode=require', VERIFIED],
  ['uselibpqcompat=yes&sslmode=require', REFUSED],
  [
    `uselibpqcompat=true&sslmode=require&sslrootcert=${ca}`,
    { ca: TEXT, checkServerIdentity: expect.any(Function) },
  ],
  [
    `uselibpqcompat=true&sslmode=verify-ca&sslrootcert=${ca}`,
    { ca: TEXT, checkServerIdentity: expect.any(Function) },
  ],
  [`uselibpqcompat=true&sslmode=verify-full&sslrootcert=${ca}`, { ca: TEXT }],
  [`sslrootcert=${ca}`, { ca: TEXT }],
  [`sslmode=verify-ca&sslrootcert=${ca}`, { ca: TEXT }],
  [`sslcert=${ca}&sslkey=${ca}&sslpassword=p`, { cert: TEXT, key: TEXT, passphrase: 'p' }],
  [`sslmode=no-verify&sslrootcert=${ca}`, { ca: TEXT, rejectUnauthorized: false }],
  [`sslmode=disable&sslrootcert=${ca}`, false],
  [`ssl=false&sslrootcert=${ca}`, REFUSED],
  ['sslmode=verify-full&sslrootcert=system', VERIFIED],
  ['sslrootcert=/no/such/file', REFUSED],
  ['sslcert=/no/such/file', REFUSED],
  ['sslkey=/no/such/file', REFUSED],
  ['sslnegotiation=direct', VERIFIED],
  ['sslnegotiation=direct&sslmode=disable', REFUSED],
  ['sslnegotiation=postgres', undefined],
  ['sslnegotiation=maybe', REFUSED],
  ['channel_binding=require', VERIFIED],
  ['channel_binding=require&sslmode=require', VERIFIED],
  ['channel_binding=require&ssl=0', REFUSED],
  ['channel_binding=prefer', undefined],
])('TLS of a URL with %j is %j', (query, expected) => {
  const url = query === '' ? BASE : `${BASE}?${query}`;
  const read = (): unknown => {
    try {
      return parseAddress(url, 'hosts', 'createDatabase').tls?.();
    } catch (error) {
      return error instanceof InvalidOptionError ? REFUSED : error;
    }
  };
  expect(read()).toEqual(expected);
});

test.each<[string, unknown]>([
  ['application_name=my%20app', { applicationName: 'my app' }],
  ['fallback_application_name=mine', { fallbackApplicationName: 'mine' }],
  ['options=-c%20search_path%3Dshop', { options: '-c search_path=shop' }],
  ['connect_timeout=3', { connectTimeoutMs: 3_000 }],
  ['connect_timeout=0', REFUSED],
  ['connect_timeout=1.5', REFUSED],
  ['connect_timeout=-1', REFUSED],
  ['statement_timeout=250', { statementTimeoutMs: 250 }],
  ['statement_timeout=10s', REFUSED],
  ['lock_timeout=250', { lockTimeoutMs: 250 }],
  ['idle_in_transaction_session_timeout=9', { idleInTransactionSessionTimeoutMs: 9 }],
  ['client_encoding=utf8', {}],
  ['client_encoding=LATIN1', REFUSED],
  ['channel_binding=disable', { channelBinding: 'disable' }],
  ['channel_binding=please', REFUSED],
  ...[
    'host=other',
    'hostaddr=1.2.3.4',
    'port=1',
    'user=root',
    'password=x',
    'dbname=y',
    'db=y',
  ].map((query): [string, unknown] => [query, REFUSED]),
  ...[
    'schema=public',
    'target_session_attrs=any',
    'query_timeout=3',
    'replication=database',
    '=x',
  ].map((query): [string, unknown] => [query, REFUSED]),
  ...['__proto__=x', 'constructor=x', 'toString=x', 'APPLICATION_NAME=x', 'binary=true'].map(
    (query): [string, unknown] => [query, REFUSED],
  ),
  ['application_name=a&application_name=b', REFUSED],
])('a URL with %j says %j of the session', (query, expected) => {
  const read = (): unknown => {
    try {
      return parseAddress(`${BASE}?${query}`, 'hosts', 'createDatabase').parameters;
    } catch (error) {
      return error instanceof InvalidOptionError ? REFUSED : error;
    }
  };
  expect(read()).toEqual(expected);
});
