import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { isHoldfastError } from '@holdfast/foundation';
import { Client, type PoolConfig } from 'pg';
import { parsePoolConfig } from '../../src/pg/pool-config.ts';
import { Opened } from '../open-database.ts';
import { type Config, openPool } from './open-pool.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** How a field is honored: a value that has to arrive, or one that has to be refused because it is read. */
type Verdict =
  | { readonly reachesClients: unknown; readonly beside?: Config }
  | { readonly changesSettings: unknown }
  | { readonly isRefusedAs: unknown };

/** Every field of pg's own declaration: a field that it gets in a later version does not compile without a verdict. */
const fields: Readonly<Record<keyof Required<PoolConfig>, Verdict>> = {
  user: { reachesClients: 'someone' },
  database: { reachesClients: 'some' },
  password: { reachesClients: 'secret' },
  port: { reachesClients: 1 },
  host: { reachesClients: '127.0.0.2' },
  connectionString: { reachesClients: 'postgres://u:p@127.0.0.1:1/d' },
  keepAlive: { reachesClients: true },
  stream: { isRefusedAs: {} },
  statement_timeout: { reachesClients: 11 },
  ssl: { reachesClients: { rejectUnauthorized: false } },
  enableChannelBinding: { reachesClients: true },
  sslnegotiation: { reachesClients: 'direct', beside: { ssl: true } },
  query_timeout: { changesSettings: 12 },
  lock_timeout: { reachesClients: 13 },
  keepAliveInitialDelayMillis: { reachesClients: 14 },
  idle_in_transaction_session_timeout: { reachesClients: 15 },
  application_name: { reachesClients: 'application' },
  fallback_application_name: { reachesClients: 'fallback' },
  connectionTimeoutMillis: { changesSettings: 16 },
  types: { reachesClients: { getTypeParser: () => String } },
  options: { reachesClients: '-c work_mem=8MB' },
  client_encoding: { reachesClients: 'UTF8' },
  pipeline: { reachesClients: true },
  max: { changesSettings: 3 },
  min: { changesSettings: 2 },
  idleTimeoutMillis: { changesSettings: 17 },
  log: { isRefusedAs: true },
  Promise: { isRefusedAs: 'native' },
  allowExitOnIdle: { changesSettings: true },
  maxUses: { isRefusedAs: 0.5 },
  maxLifetimeSeconds: { changesSettings: 18 },
  Client: { isRefusedAs: {} },
  onConnect: { isRefusedAs: 'x' },
  verify: { isRefusedAs: 1 },
};

/** The options that the first client of a pool is given. Nothing listens there. */
async function optionsOfClient(config: Config): Promise<Config> {
  let seen: Config | undefined;
  class Seeing extends Client {
    constructor(options: Config) {
      super(options);
      seen ??= options;
    }
  }
  const nowhere = { host: '127.0.0.1', port: 1, user: 'u', connectionTimeoutMillis: 30 };
  const pool = openPool({ ...nowhere, Client: Seeing, ...config });
  opened.add(() => pool.holdfast.close({ deadlineMs: 0 }));
  await pool.query('select 1').catch(() => undefined);
  if (seen === undefined) throw new Error('no client was made');
  return seen;
}

const settingsOf = (config: Config): unknown =>
  Reflect.apply(parsePoolConfig, undefined, [{ host: '127.0.0.1', port: 1, ...config }, {}]);

async function isHonored(field: string, verdict: Verdict): Promise<boolean> {
  if ('reachesClients' in verdict) {
    const { reachesClients: value, beside } = verdict;
    const options = await optionsOfClient({ [field]: value, ...beside });
    return isDeepStrictEqual(options[field], value);
  }
  if ('changesSettings' in verdict) {
    return !isDeepStrictEqual(settingsOf({ [field]: verdict.changesSettings }), settingsOf({}));
  }
  try {
    openPool({ host: '127.0.0.1', [field]: verdict.isRefusedAs });
    return false;
  } catch (error) {
    return (
      isHoldfastError(error) &&
      error.code === 'INVALID_OPTION' &&
      Reflect.get(error, 'field') === field
    );
  }
}

test.each(Object.entries(fields))('the field %s of pg is honored', async (field, verdict) => {
  expect(await isHonored(field, verdict)).toBe(true);
});
