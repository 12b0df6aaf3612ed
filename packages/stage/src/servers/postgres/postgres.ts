import { type Clock, InvalidOptionError, sleep, withDeadline } from '@holdfast/foundation';
import { PostgresRefusedError, ServerTimeoutError } from '../../errors.ts';
import type { ServerHandle } from '../../handle/handle.ts';
import { whileRunning } from '../../handle/while-running.ts';
import { imageOf, replacementOf } from '../../images.ts';
import type { Environment } from '../../system/executable.ts';
import type { Unavailable } from '../../system/availability.ts';
import type { StageContext } from '../../topology/stage-context.ts';
import {
  type ServerTopology,
  composeServices,
  localOnly,
  serverAt,
} from '../../topology/topology.ts';
import type { Executable } from '../../system/executable.ts';
import { type PostgresRuntime, databaseUrl, postgresNode } from './node.ts';
import type { ResolvedPostgresOptions } from './options.ts';
import { locatePgBouncer } from './pgbouncer-program.ts';
import type { ResolvedPgBouncerOptions } from './pgbouncer-options.ts';
import { type PgBouncer, pgBouncerNode, toPgBouncerHandle } from './pgbouncer.ts';
import { locatePostgres } from './program.ts';
import { type PostgresReply, askPostgres } from './query.ts';
import { templateDirectory } from './template.ts';

/** A database on the primary. */
interface StageDatabase {
  readonly name: string;
  readonly url: string;
}

interface CreateDatabaseOptions {
  /** Lower-case letters, digits and underscores, up to 63. Default: a new name on this stage. */
  name?: string;
  /** The database that is copied; it must have no sessions. Default `template1`. */
  template?: string;
  signal?: AbortSignal;
}

/** A Postgres. Its user is `postgres`, without a password. */
export interface Postgres {
  /** Its URL names the database `postgres`. */
  readonly primary: ServerHandle;
  /**
   * Creates a database on the primary, such as one per test file from a template with the schema.
   * @throws PostgresRefusedError, ServerTimeoutError after `readyTimeoutMs`, StageStateError while the server does not
   *   run, ServerUnreachableError when it ends meanwhile.
   */
  createDatabase(options?: CreateDatabaseOptions): Promise<StageDatabase>;
  /**
   * Drops a database of the primary and ends its sessions; does nothing when it does not exist.
   * @throws PostgresRefusedError, ServerTimeoutError after `readyTimeoutMs`, StageStateError while the server does not
   *   run, ServerUnreachableError when it ends meanwhile.
   */
  dropDatabase(name: string, options?: { signal?: AbortSignal }): Promise<void>;
}

/** A Postgres with a streaming replica. */
export interface PostgresWithReplica extends Postgres {
  readonly replica: ServerHandle;
  /**
   * Promotes the replica and resolves when it accepts writes. The former primary, if it runs or is started
   * again, remains a primary too: fencing it is the task of the code under test.
   * @throws PostgresRefusedError, ServerTimeoutError after `readyTimeoutMs`, StageStateError while the server does not
   *   run, ServerUnreachableError when it ends meanwhile.
   */
  promote(options?: { signal?: AbortSignal }): Promise<void>;
}

/** A Postgres with a PgBouncer in front of one of its servers. */
export interface PostgresWithPgBouncer extends Postgres {
  readonly pgbouncer: PgBouncer;
}

const POLL_MS = 5;
const OBJECT_IN_USE = '55006';
/** The first version with the option `strategy`; copying file by file is faster than through the log. */
const FIRST_WITH_STRATEGY = 15;

/** A Postgres and, if requested, its replica. */
export function postgresTopology(
  options: ResolvedPostgresOptions,
  env: Environment,
): ServerTopology<Postgres | PostgresWithReplica | PostgresWithPgBouncer> {
  const { version, replica, settings, pgbouncer } = options;
  let installation: PostgresRuntime | undefined;
  let pooler: Executable | undefined;
  const imageMajor = containerMajor(version, env);
  let major = imageMajor ?? 0;
  const image = imageMajor === undefined ? '' : imageOf(`postgres-${imageMajor}`, env);
  const located = (): PostgresRuntime => {
    if (installation === undefined) throw new TypeError('locate() was not called');
    return installation;
  };
  const poolerFound = (): Executable => {
    if (pooler === undefined) throw new TypeError('locate() was not called');
    return pooler;
  };
  return {
    size: 1 + Number(replica) + Number(pgbouncer !== undefined),
    portOffsets: [],
    docker: dockerAvailability(options, image),
    compose: composeAvailability(options),
    async locate(context, signal) {
      const program = await locatePostgres(version, { ...context, env }, signal);
      if (pgbouncer !== undefined) {
        pooler = await locatePgBouncer({ ...context, env }, program.user, signal);
      }
      const template = await templateDirectory(program, context, signal);
      installation = { template, user: program.user };
      major = program.major;
      return program;
    },
    serverSpecs([first, other]) {
      const second = replica ? other : undefined;
      const node = { settings, installation: located, image };
      // A replica and its primary reach each other in the machine's network.
      const listen = second === undefined ? undefined : first;
      const specs = [postgresNode({ ...node, name: 'postgres.primary', listen }, env)];
      if (second !== undefined && first !== undefined) {
        const standby = { ...node, name: 'postgres.replica', listen: second };
        specs.push(postgresNode({ ...standby, follows: first.advertised }, env));
      }
      const target = pgbouncer?.target === 'replica' ? second : first;
      if (pgbouncer !== undefined && target !== undefined) {
        const { advertised } = target;
        specs.push(
          pgBouncerNode({ options: pgbouncer, target: advertised, executable: poolerFound }),
        );
      }
      return [specs];
    },
    async awaitFormed(handles, { clock }, signal) {
      if (!replica) return;
      const sql = `select 1 from pg_stat_replication where state = 'streaming'`;
      const { direct } = serverAt(handles, 0);
      await waitForRows(clock, () => askPostgres(direct, { sql }, signal), signal);
    },
    toHandle: (handles, context) =>
      withPgBouncer(toPostgresHandle(handles, { replica, major }, context), handles, pgbouncer),
  };
}

/** Adds the handle of the PgBouncer, which is the last of the servers. */
function withPgBouncer(
  postgres: Postgres,
  handles: readonly ServerHandle[],
  options: ResolvedPgBouncerOptions | undefined,
): Postgres | PostgresWithPgBouncer {
  if (options === undefined) return postgres;
  const pgbouncer = toPgBouncerHandle(serverAt(handles, handles.length - 1), options.mode);
  return { ...postgres, pgbouncer };
}

const CONTAINER_MAJORS = [18, 15] as const;
/** The versions in docker-compose.test.yml; the second has no replica and its own profile. */
const COMPOSE_MAJOR = 15;
const COMPOSE_STANDALONE_MAJOR = 18;

const NO_PGBOUNCER: Unavailable = localOnly(
  'no image of PgBouncer is official, so that it runs as a process of this machine only (postgres.pgbouncer)',
);

function dockerAvailability(
  { version, pgbouncer }: ResolvedPostgresOptions,
  image: string,
): ServerTopology<unknown>['docker'] {
  if (pgbouncer !== undefined) return NO_PGBOUNCER;
  return image === ''
    ? localOnly(`no image of Postgres ${version} is known, but of 15 and 18`)
    : { available: true, images: [image] };
}

function composeAvailability({
  version = COMPOSE_MAJOR,
  replica,
  settings,
  pgbouncer,
}: ResolvedPostgresOptions): ServerTopology<unknown>['compose'] {
  if (pgbouncer !== undefined) return NO_PGBOUNCER;
  const changed = Object.keys(settings).length > 0 ? ['postgres.settings'] : [];
  if (version === COMPOSE_STANDALONE_MAJOR && !replica) {
    return composeServices(['postgres-18'], changed, 'postgres-18');
  }
  const services = replica ? ['postgres', 'postgres-replica'] : ['postgres'];
  return composeServices(services, [
    ...changed,
    ...(version === COMPOSE_MAJOR ? [] : ['postgres.version']),
  ]);
}

/** The major version of the image; without a requested version, that of a replaced image first. */
function containerMajor(version: number | undefined, env: Environment): 15 | 18 | undefined {
  if (version !== undefined) return CONTAINER_MAJORS.find((major) => major === version);
  const replaced = CONTAINER_MAJORS.find(
    (major) => replacementOf(`postgres-${major}`, env) !== undefined,
  );
  return replaced ?? CONTAINER_MAJORS[0];
}

const CREATE = { verb: 'createDatabase', failure: 'did not create a database' };
const DROP = { verb: 'dropDatabase', failure: 'did not drop a database' };
const PROMOTE = { verb: 'promote', failure: 'was not promoted' };

function toPostgresHandle(
  handles: readonly ServerHandle[],
  { replica: hasReplica, major }: { readonly replica: boolean; readonly major: number },
  { clock, readyTimeoutMs }: StageContext,
): Postgres | PostgresWithReplica {
  const primary = serverAt(handles, 0);
  const strategy = major < FIRST_WITH_STRATEGY ? '' : ' strategy file_copy';
  let databases = 0;

  const inTime = <T>(
    server: ServerHandle,
    { verb, failure }: { readonly verb: string; readonly failure: string },
    signal: AbortSignal | undefined,
    work: (limit: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const late = (): Error => new ServerTimeoutError(server.name, readyTimeoutMs, failure);
    return whileRunning(server, verb, signal, () =>
      withDeadline(clock, readyTimeoutMs, signal, late, work),
    );
  };

  const postgres: Postgres = {
    primary,
    async createDatabase({ name, template = 'template1', signal } = {}) {
      const chosen = name ?? `stage_${(databases += 1)}`;
      assertName('name', chosen);
      assertName('template', template);
      const sql = `create database "${chosen}" template "${template}"${strategy}`;
      await inTime(primary, CREATE, signal, async (limit) => {
        let reply = await askPostgres(primary.direct, { sql }, limit);
        // The server may still count a session that has just been closed.
        while (reply.kind === 'error' && reply.sqlState === OBJECT_IN_USE) {
          await sleep(clock, POLL_MS, limit);
          reply = await askPostgres(primary.direct, { sql }, limit);
        }
        assertRows(primary, `create the database ${chosen}`, reply);
      });
      return { name: chosen, url: databaseUrl(primary, chosen) };
    },
    async dropDatabase(name, { signal } = {}) {
      assertName('name', name);
      const sql = `drop database if exists "${name}" with (force)`;
      await inTime(primary, DROP, signal, async (limit) => {
        assertRows(primary, `drop ${name}`, await askPostgres(primary.direct, { sql }, limit));
      });
    },
  };
  if (!hasReplica) return postgres;
  const replica = serverAt(handles, 1);

  return {
    ...postgres,
    replica,
    promote: ({ signal } = {}) =>
      inTime(replica, PROMOTE, signal, async (limit) => {
        const sql = 'select pg_promote(false)';
        assertRows(replica, 'be promoted', await askPostgres(replica.direct, { sql }, limit));
        const isPrimary = 'select 1 where not pg_is_in_recovery()';
        await waitForRows(
          clock,
          () => askPostgres(replica.direct, { sql: isPrimary }, limit),
          limit,
        );
      }),
  };
}

/** Repeats a query until it returns a row. */
async function waitForRows(
  clock: Clock,
  query: () => Promise<PostgresReply>,
  signal: AbortSignal,
): Promise<void> {
  let reply = await query();
  while (reply.kind === 'error' || reply.rows.length === 0) {
    await sleep(clock, POLL_MS, signal);
    reply = await query();
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
