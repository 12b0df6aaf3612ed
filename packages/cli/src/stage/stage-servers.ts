import {
  type Postgres,
  type PostgresWithReplica,
  type RedisCluster,
  type RedisSentinel,
  type S3,
  type ServerHandle,
  type StageMode,
  type StageOptions,
  type Supabase,
  openStage,
} from '@holdfast/stage';
import { type StageServerName, stageOptions } from './stage-server-names.ts';
import type { KeptServer } from './stage-state.ts';

/** An open stage, whatever was asked for. */
interface OpenedStage {
  readonly mode: StageMode;
  readonly redis?: ServerHandle | RedisSentinel | RedisCluster;
  readonly postgres?: Postgres | PostgresWithReplica;
  readonly s3?: S3;
  readonly supabase?: Supabase;
  close(): Promise<void>;
}

/** @throws the errors of `openStage` */
export function openKeptServers(
  names: readonly StageServerName[],
  mode: StageMode | undefined,
  signal: AbortSignal,
): Promise<OpenedStage> {
  const chosen: StageOptions = Object.assign(
    // Users connect to the servers themselves: faults are for a stage of the process that sets them.
    { signal, link: false },
    ...names.map((name) => stageOptions[name]),
  );
  return openStage(mode === undefined ? chosen : { ...chosen, mode });
}

/** The single servers of a stage. */
export function listServers({ redis, postgres, s3, supabase }: OpenedStage): KeptServer[] {
  const handles: (ServerHandle | undefined)[] = [s3, supabase, postgres?.primary];
  if (postgres !== undefined && 'replica' in postgres) handles.push(postgres.replica);
  if (redis !== undefined) handles.push(...redisHandles(redis));
  return handles
    .filter((handle) => handle !== undefined)
    .map(({ name, url, host, port }) => ({ name, url, host, port }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function redisHandles(redis: ServerHandle | RedisSentinel | RedisCluster): readonly ServerHandle[] {
  if ('nodes' in redis) return redis.nodes;
  if ('sentinels' in redis) return [redis.primary, ...redis.replicas, ...redis.sentinels];
  return [redis];
}

/** By the names that clients read where there are such names. */
export function variablesOf({
  redis,
  postgres,
  s3,
  supabase,
}: OpenedStage): Record<string, string> {
  return {
    ...(redis !== undefined && redisVariables(redis)),
    ...(postgres !== undefined && { DATABASE_URL: postgres.primary.url }),
    ...(postgres !== undefined &&
      'replica' in postgres && { DATABASE_REPLICA_URL: postgres.replica.url }),
    ...(s3 !== undefined && {
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_REGION: s3.region,
      AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
    }),
    ...(supabase !== undefined && {
      SUPABASE_URL: supabase.url,
      SUPABASE_ANON_KEY: supabase.anonKey,
      SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    }),
  };
}

function redisVariables(
  redis: ServerHandle | RedisSentinel | RedisCluster,
): Record<string, string> {
  const addresses = (all: readonly { host: string; port: number }[]): string =>
    all.map(({ host, port }) => `${host}:${port}`).join(',');
  if ('nodes' in redis) return { REDIS_CLUSTER_NODES: addresses(redis.nodes) };
  if ('sentinels' in redis) {
    return {
      REDIS_SENTINELS: addresses(redis.sentinelAddresses),
      REDIS_SENTINEL_MASTER: redis.masterName,
    };
  }
  return { REDIS_URL: redis.url };
}
