import { InvalidOptionError } from '@holdfast/foundation';

/**
 * A database's URL as the variables that the programs of Postgres read: on a command line all users would see the
 * password.
 *
 * @throws InvalidOptionError for what is no such URL.
 */
export function connectionEnvironment(url: string): Readonly<Record<string, string>> {
  const permitted = 'a URL such as postgres://user@host:5432/database';
  if (!URL.canParse(url)) throw new InvalidOptionError('backup', 'databaseUrl', '…', permitted);
  const { protocol, hostname, port, username, password, pathname, searchParams } = new URL(url);
  const database = decodeURIComponent(pathname.slice(1));
  if (!/^postgres(?:ql)?:$/.test(protocol) || database === '') {
    throw new InvalidOptionError('backup', 'databaseUrl', '…', permitted);
  }
  const sslMode = searchParams.get('sslmode');
  return {
    PGHOST: hostname.replaceAll(/[[\]]/g, ''),
    PGPORT: port === '' ? '5432' : port,
    PGDATABASE: database,
    PGCONNECT_TIMEOUT: '10',
    PGAPPNAME: 'holdfast-backup',
    ...(username === '' ? {} : { PGUSER: decodeURIComponent(username) }),
    ...(password === '' ? {} : { PGPASSWORD: decodeURIComponent(password) }),
    ...(sslMode === null ? {} : { PGSSLMODE: sslMode }),
  };
}
