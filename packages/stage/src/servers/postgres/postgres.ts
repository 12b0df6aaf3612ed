import { type Clock, InvalidOptionError, sleep, withDeadline } from '@holdfast/foundation';
import { type ServerTopology, composeServices, serverAt } from '../../topology/topology.ts';
import { PostgresRefusedError, ServerTimeoutError } from '../../errors.ts';
import { imageOf, replacementOf } from '../../images.ts';
import type { Environment, StageContext } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import type { ResolvedPostgresOptions } from './options.ts';
import { type PostgresInstallation, databaseUrl, postgresNode } from './node.ts';
import { locatePostgres } from './program.ts';
import { templateDirectory } from './template.ts';
import { type PostgresReply, askPostgres } from './query.ts';

/** A database on the primary. */
export interface StageDatabase {
  readonly name: string;
  readonly url: string;
}

export interface CreateDatabaseOptions {
  /** Lower-case letters, digits and underscores, up to 63. Default: one that is new on this stage. */
  name?: string;
  /** The database it is a copy of; nobody may be connected to that. Default `template1`. */
  template?: string;
  signal?: AbortSignal;
}

/** A Postgres. Its user is `postgres`, without a password. */
export interface Postgres {
  /** Its URL names the database `postgres`. */
  readonly primary: ServerHandle;
  /**
   * Makes a database on the primary, such as one for each test file from a template that holds the schema.
   * @throws PostgresRefusedError, ServerTimeoutError after `readyTimeoutMs`.
   */
  createDatabase(options?: CreateDatabaseOptions): Promise<StageDatabase>;
  /**
   * Removes a database of the primary, and ends the sessions in it; nothing where there is none.
   * @throws PostgresRefusedError, ServerTimeoutError after `readyTimeoutMs`.
   */
  dropDatabase(name: string, options?: { signal?: AbortSignal }): Promise<void>;
}

/** A Postgres whose replica applies what it streams from the primary. */
export interface PostgresWithReplica extends Postgres {
  readonly replica: ServerHandle;
  /**
   * Makes the replica a primary of its own, and resolves when it takes writes. The former primary, if it
   * runs or is started again, goes on as one too: fencing it is the business of who is tested.
   * @throws PostgresRefusedError, ServerTimeoutError after `readyTimeoutMs`.
   */
  promote(options?: { signal?: AbortSignal }): Promise<void>;
}

const POLL_MS = 5;
const OBJECT_IN_USE = '55006';
/** Since this version a database can be copied file by file, or through the log, which takes longer. */
const FIRST_WITH_STRATEGY = 15;

/** A Postgres and, where it is asked for, its replica. */
export function postgresTopology(
  { version, replica, settings }: ResolvedPostgresOptions,
  env: Environment,
): ServerTopology<Postgres | PostgresWithReplica> {
  let ground: PostgresInstallation | undefined;
  const contained = containerMajor(version, env);
  let major = contained ?? 0;
  const image = contained === undefined ? '' : imageOf(`postgres-${contained}`, env);
  const found = (): PostgresInstallation => {
    if (ground === undefined) throw new TypeError('postgres was cast before it was located');
    return ground;
  };
  return {
    size: replica ? 2 : 1,
    portOffsets: [],
    docker:
      contained === undefined
        ? { available: false, reason: `no image of Postgres ${version} is known, but of 15 and 18` }
        : { available: true, images: [image] },
    compose: composeAvailability({ version, replica, settings }),
    async locate(context, signal) {
      const program = await locatePostgres(version, { ...context, env }, signal);
      const template = await templateDirectory(program, context, signal);
      ground = { template, user: program.user };
      major = program.major;
      return program;
    },
    serverSpecs(places) {
      const [first, second] = places;
      const part = { settings, ground: found, image };
      // A replica and its primary must find each other: both in the network of the machine.
      const at = second === undefined ? undefined : first;
      const kinds = [postgresNode({ ...part, name: 'postgres.primary', at }, env)];
      if (second !== undefined && first !== undefined) {
        const standby = { ...part, name: 'postgres.replica', at: second };
        kinds.push(postgresNode({ ...standby, follows: first.advertised }, env));
      }
      return [kinds];
    },
    async awaitFormed(handles, { clock }, signal) {
      if (!replica) return;
      const sql = `select 1 from pg_stat_replication where state = 'streaming'`;
      const { direct } = serverAt(handles, 0);
      await waitForRows(clock, () => askPostgres(direct, { sql }, signal), signal);
    },
    toHandle: (handles, context) => toPostgresHandle(handles, context, major),
  };
}

const CONTAINER_MAJORS = [18, 15] as const;
/** Those that docker-compose.test.yml holds open, the second without a replica and under a profile. */
const COMPOSED_MAJOR = 15;
const COMPOSED_ALONE_MAJOR = 18;

function composeAvailability({
  version = COMPOSED_MAJOR,
  replica,
  settings,
}: ResolvedPostgresOptions): ServerTopology<unknown>['compose'] {
  const changed = Object.keys(settings).length > 0 ? ['postgres.settings'] : [];
  if (version === COMPOSED_ALONE_MAJOR && !replica)
    return composeServices(['postgres-18'], changed);
  const services = replica ? ['postgres', 'postgres-replica'] : ['postgres'];
  return composeServices(services, [
    ...changed,
    ...(version === COMPOSED_MAJOR ? [] : ['postgres.version']),
  ]);
}

/** The major version of the image that stands for what was asked for; any: one that was replaced first. */
function containerMajor(version: number | undefined, env: Environment): 15 | 18 | undefined {
  if (version !== undefined) return CONTAINER_MAJORS.find((major) => major === version);
  const replaced = CONTAINER_MAJORS.find(
    (major) => replacementOf(`postgres-${major}`, env) !== undefined,
  );
  return replaced ?? CONTAINER_MAJORS[0];
}

function toPostgresHandle(
  handles: readonly ServerHandle[],
  context: StageContext,
  major: number,
): Postgres | PostgresWithReplica {
  const { clock, readyTimeoutMs } = context;
  const primary = serverAt(handles, 0);
  const strategy = major < FIRST_WITH_STRATEGY ? '' : ' strategy file_copy';
  let databases = 0;

  const within = <T>(
    server: ServerHandle,
    seen: string,
    signal: AbortSignal | undefined,
    work: (limit: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const late = (): Error => new ServerTimeoutError(server.name, readyTimeoutMs, seen);
    return withDeadline(clock, readyTimeoutMs, signal, late, work);
  };

  const postgres: Postgres = {
    primary,
    async createDatabase({ name, template = 'template1', signal } = {}) {
      const chosen = name ?? `stage_${(databases += 1)}`;
      assertName('name', chosen);
      assertName('template', template);
      const sql = `create database "${chosen}" template "${template}"${strategy}`;
      await within(primary, 'did not make a database', signal, async (limit) => {
        let reply = await askPostgres(primary.direct, { sql }, limit);
        // A session that has just been closed may still be seen for a moment.
        while (reply.kind === 'error' && reply.sqlState === OBJECT_IN_USE) {
          await sleep(clock, POLL_MS, limit);
          reply = await askPostgres(primary.direct, { sql }, limit);
        }
        assertRows(primary, `make the database ${chosen}`, reply);
      });
      return { name: chosen, url: databaseUrl(primary, chosen) };
    },
    async dropDatabase(name, { signal } = {}) {
      assertName('name', name);
      const sql = `drop database if exists "${name}" with (force)`;
      await within(primary, 'did not drop a database', signal, async (limit) => {
        assertRows(primary, `drop ${name}`, await askPostgres(primary.direct, { sql }, limit));
      });
    },
  };
  const replica = handles[1];
  if (replica === undefined) return postgres;

  return {
    ...postgres,
    replica,
    promote: ({ signal } = {}) =>
      within(replica, 'was not promoted', signal, async (limit) => {
        const sql = 'select pg_promote(false)';
        assertRows(replica, 'be promoted', await askPostgres(replica.direct, { sql }, limit));
        const isPrimary = 'select 1 where not pg_is_in_recovery()';
        const ask = (): Promise<PostgresReply> =>
          askPostgres(replica.direct, { sql: isPrimary }, limit);
        await waitForRows(clock, ask, limit);
      }),
  };
}

/** Asks again and again until there is a row. */
async function waitForRows(
  clock: Clock,
  ask: () => Promise<PostgresReply>,
  signal: AbortSignal,
): Promise<void> {
  let reply = await ask();
  while (reply.kind === 'error' || reply.rows.length === 0) {
    await sleep(clock, POLL_MS, signal);
    reply = await ask();
  }
}

function assertRows(server: ServerHandle, attempted: string, reply: PostgresReply): void {
  if (reply.kind === 'rows') return;
  throw new PostgresRefusedError(server.name, attempted, reply.sqlState, reply.text);
}

function assertName(field: string, name: string): void {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(name)) return;
  const permitted = 'lower-case letters, digits and underscores, 1 to 63, no digit first';
  throw new InvalidOptionError('createDatabase', field, name, permitted);
}
