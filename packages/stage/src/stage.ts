import { type Clock, requireNode, systemRandom } from '@holdfast/foundation';
import { randomUUID } from 'node:crypto';
import type { FaultProxy } from '@holdfast/faults';
import { chooseMode } from './runtime/choose-mode.ts';
import { forMode } from './topology/topology.ts';
import { startTopology, throwFirstRejection } from './topology/start-topology.ts';
import { type ResolvedStageOptions, parseStageOptions } from './options.ts';
import {
  type Postgres,
  type PostgresWithReplica,
  postgresTopology,
} from './servers/postgres/postgres.ts';
import {
  type EmulatedServerHandles,
  type EmulatedServerOptions,
  emulatedTopologies,
} from './servers/emulated/emulated-servers.ts';
import type { RedisCluster } from './servers/redis/cluster.ts';
import { redisTopology } from './servers/redis/redis.ts';
import type { RedisSentinel } from './servers/redis/sentinel.ts';
import {
  type NamedTopology,
  composeAddresses,
  checkImages,
  checkServices,
  driverFor,
} from './runtime/choose-runtime.ts';
import type { Environment } from './topology/server-spec.ts';
import type { ImpairOptions } from './limits/impairment.ts';
import { type StageNetwork, stageNetwork } from './handle/network.ts';
import type { StageFault } from './limits/server-limits.ts';
import type { ServerClock } from './handle/server-clock.ts';
import { openWatchdog } from './watchdog/watchdog.ts';

/** What the servers run as: containers, processes of this machine, or containers that compose brought up. */
export type StageMode = 'docker' | 'local' | 'compose';

export interface RedisStageOptions {
  topology?: 'standalone';
  /**
   * Directives of redis.conf by name, such as `{ appendonly: 'yes', appendfsync: 'everysec' }`; the value
   * is the rest of the line as that file would have it. Default: nothing is kept over a restart
   * (`save ""`, `appendonly no`). Address and data folder belong to the stage.
   */
  settings?: Readonly<Record<string, string>>;
}

/** A primary, two replicas, three Sentinels. */
export interface RedisSentinelOptions {
  topology: 'sentinel';
  /** Directives for primary and replicas, as for a standalone one; not those that wire them together. */
  settings?: Readonly<Record<string, string>>;
  /** How long a primary may be silent before a Sentinel holds it to be down, from 100. Default 500. */
  downAfterMs?: number;
}

/** Three primaries and a replica of each. */
export interface RedisClusterOptions {
  topology: 'cluster';
  /** Directives for every node, as for a standalone one; not those that wire them together. */
  settings?: Readonly<Record<string, string>>;
  /** How long a node may be silent before the others hold it to be down, from 100. Default 1 000. */
  nodeTimeoutMs?: number;
}

/** A Postgres, with or without a streaming replica. */
export interface PostgresStageOptions {
  /** The major version it must be, such as 17. Default: the one on PATH, else the newest there is. */
  version?: number;
  /** Whether a replica streams from it. Default false. */
  replica?: boolean;
  /**
   * Parameters of postgresql.conf by name, such as `{ synchronous_commit: 'remote_apply' }`. By default
   * nothing is forced to disk (`fsync`, `full_page_writes`: `off`): data outlive the processes, not the
   * machine. Addresses and folders belong to the stage.
   */
  settings?: Readonly<Record<string, string>>;
}

export interface StageOptions extends EmulatedServerOptions {
  /** Default: `HOLDFAST_STAGE`, else docker where it can stand, else local. */
  mode?: StageMode;
  /** A standalone Redis, or one of its topologies. */
  redis?:
    | true
    | 'sentinel'
    | 'cluster'
    | RedisStageOptions
    | RedisSentinelOptions
    | RedisClusterOptions;
  /** A Postgres; `'replica'`: with a streaming replica. */
  postgres?: true | 'replica' | PostgresStageOptions;
  /**
   * Whether a fault proxy stands in front of each server, at the address that clients are given. Default
   * true.
   */
  link?: boolean;
  /** How long a server may take from its start to its first answer, in milliseconds. Default 30 000. */
  readyTimeoutMs?: number;
  /**
   * How long an orderly stop may take before it becomes SIGKILL, and how long each other verb waits for
   * its effect, in milliseconds. Default 5 000.
   */
  stopTimeoutMs?: number;
  /** How long fetching a missing binary or image may take, in milliseconds. Default 120 000. */
  fetchTimeoutMs?: number;
  /**
   * Gives each server a disk of its own of that size, in memory, so that it can be filled. Default: the
   * machine's. Needs the right to mount.
   */
  diskMaxBytes?: number;
  /**
   * Gives each server a wall clock of its own, to be moved while it runs. Default: the machine's. Mode local
   * only, on Linux with a C compiler.
   */
  serverClocks?: boolean;
  /**
   * Gives each server that stands alone a network of its own, for `disconnect()` and `impair()`. Default: the
   * machine's. For mode local, on Linux as root; a container has one in any case.
   */
  serverNetworks?: boolean;
  /** How much of what each server printed is kept, in bytes, the newest. Default 1 048 576. */
  logMaxBytes?: number;
  clock?: Clock;
  /** Aborts the opening; a stage that is open does not listen to it. */
  signal?: AbortSignal;
}

export type ServerState = 'running' | 'frozen' | 'stopped';

export interface StartOptions {
  /**
   * `ready` (default): it answers ordinary commands. `listening`: it answers at all, be it that it is
   * still loading its data.
   */
  until?: 'listening' | 'ready';
  /** Gives up and kills what was being started. */
  signal?: AbortSignal;
}

export interface FillOptions {
  /** What is left for the server. Default 0. */
  leaveBytes?: number;
}

export interface LimitOptions {
  /** What the server and all it starts may use, from 6 MiB. */
  memoryBytes: number;
  /** Whether it is started again when it ends by itself, as by a restart policy. Default true. */
  restart?: boolean;
}

/** Where a server itself listens, behind its link. */
export interface DirectAddress {
  readonly url: string;
  readonly host: string;
  readonly port: number;
}

/**
 * A real server that can be broken. Verbs take effect one after the other in the order of their calls;
 * each rejects with StageStateError when the server is in no state for it, with StageClosedError after
 * the stage was closed, and with ServerTimeoutError when its effect does not come.
 */
export interface ServerHandle {
  readonly name: string;
  /** Where clients connect; host and port never move, whatever is done to the server. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The server's own address, for measuring beside the link; equal to the former with `link: false`. */
  readonly direct: DirectAddress;
  /**
   * The fault proxy that stands at the server's address: latency, resets, silence and the like. It refuses
   * connections while the server is stopped.
   * @throws StageLinkError where none stands there.
   */
  readonly link: FaultProxy;
  /**
   * Its wall clock, on a stage with `serverClocks`; where it reads the machine's, its verbs reject with
   * FaultUnsupportedError.
   */
  readonly clock: ServerClock;
  readonly state: ServerState;
  /** Ends it as a crash would (SIGKILL); resolves once it is gone. From running or frozen. */
  kill(): Promise<void>;
  /** Ends it in an orderly way (SIGTERM), after `stopTimeoutMs` by SIGKILL. From running. */
  stop(): Promise<void>;
  /**
   * Starts it again, same data, same address; resolves at its first real answer. From stopped.
   * @throws ServerStartError when it ends instead.
   */
  start(options?: StartOptions): Promise<void>;
  /** Makes it stand still with its connections open; resolves once it does. From running. */
  freeze(): Promise<void>;
  /** Lets it go on; resolves once it does. From frozen. */
  thaw(): Promise<void>;
  /**
   * Takes the space that is left to it: of its disk by a file of ballast, of its memory by a bound close
   * above what it uses now. From running or frozen, and until it is undone. The disk can be filled where
   * the stage has `diskMaxBytes`.
   * @throws FaultUnsupportedError where this mode or machine cannot.
   */
  fill(what: 'disk' | 'memory', options?: FillOptions): Promise<StageFault>;
  /**
   * Bounds its memory, over restarts too, until it is undone. Beyond it the kernel kills the server.
   * @throws FaultUnsupportedError where this mode or machine cannot.
   */
  limit(options: LimitOptions): Promise<StageFault>;
  /**
   * Takes the network of its container away, as an engine does it: those who are connected are left or cut
   * off, whoever comes is refused, until it is undone. For silence, and in mode local, cut its link.
   * @throws FaultUnsupportedError where its network is that of the machine.
   */
  disconnect(): Promise<StageFault>;
  /**
   * Lets the kernel delay, lose, double, damage or reorder the packets that its container sends (`tc netem`), over
   * restarts too, until it is undone. Chance is the kernel's, not a seed's. Whether this machine can,
   * `checkImpairment()` says before.
   * @throws FaultUnsupportedError where this mode or machine cannot; nothing was done.
   */
  impair(options: ImpairOptions): Promise<StageFault>;
  /**
   * Resolves when the server, bounded by `limit()`, has ended by itself and answers again; once for each
   * time. Rejects as that start does.
   * @throws ServerTimeoutError after `readyTimeoutMs`.
   */
  waitForRestart(options?: { signal?: AbortSignal }): Promise<void>;
  /** What it has printed so far, across restarts: the newest `logMaxBytes` of it. */
  log(): Promise<string>;
}

/** Which handle each option brings. */
interface StageServers<O extends StageOptions> extends EmulatedServerHandles {
  readonly redis: O['redis'] extends 'sentinel' | { topology: 'sentinel' }
    ? RedisSentinel
    : O['redis'] extends 'cluster' | { topology: 'cluster' }
      ? RedisCluster
      : ServerHandle;
  readonly postgres: O['postgres'] extends 'replica' | { replica: true }
    ? PostgresWithReplica
    : Postgres;
}

interface StageItself {
  readonly mode: StageMode;
  readonly network: StageNetwork;
  /** Ends every server and removes all it left. Calling it again changes nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** An open stage, with what each option that was given brings. */
export type Stage<O extends StageOptions = StageOptions> = StageItself & {
  readonly [
    Name in keyof StageServers<O> as undefined extends O[Name] ? never : Name
  ]: StageServers<O>[Name];
};

/**
 * Starts real servers and resolves when each has given its first answer.
 * @throws UnsupportedNodeError, InvalidOptionError, StageModeError, RedisNotFoundError, PostgresNotFoundError,
 * PostgresTemplateError, ServerStartError, ServerTimeoutError;
 * nothing is left of the stage then.
 */
export function openStage<const O extends StageOptions>(options: O): Promise<Stage<O>>;
export async function openStage(
  options: StageOptions,
): Promise<StageItself & { readonly redis?: unknown; readonly postgres?: unknown }> {
  requireNode('openStage');
  const settled = parseStageOptions(options);
  const signal = settled.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const { env } = process;
  const topologies = topologiesOf(settled, env);
  const chosen = await chooseMode(
    { mode: settled.mode, variable: env['HOLDFAST_STAGE'] },
    () => checkImages(topologies, { ...settled, signal, env }),
    () => checkServices(topologies, { ...settled, signal, env }),
  );
  const watchdog = openWatchdog(settled.clock);
  const context = { ...settled, id: randomUUID(), random: systemRandom, watchdog };
  const opened = await Promise.allSettled(
    topologies.map(async ({ name, topology: planned }) => {
      const ensemble = forMode(chosen.mode, planned);
      const seat = await driverFor(chosen, ensemble, context, signal);
      const found = composeAddresses(chosen, ensemble);
      const open = await startTopology(name, ensemble, context, seat, signal, found);
      return { name, open };
    }),
  );
  const stands = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));

  const closeAll = async (): Promise<void> => {
    const closings = await Promise.allSettled(stands.map(({ open }) => open.close()));
    await watchdog.close();
    throwFirstRejection(closings);
  };
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= closeAll());
  try {
    throwFirstRejection(opened);
  } catch (error) {
    await close();
    throw error;
  }
  watchdog.ready();
  const handles = stands.map(({ name, open }) => [name, open.handle] as const);
  return {
    ...Object.fromEntries(handles),
    mode: chosen.mode,
    network: stageNetwork(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function topologiesOf(settled: ResolvedStageOptions, env: Environment): NamedTopology[] {
  const { redis, postgres } = settled;
  const topologies: NamedTopology[] = [];
  if (redis !== undefined) topologies.push({ name: 'redis', topology: redisTopology(redis, env) });
  if (postgres !== undefined) {
    topologies.push({ name: 'postgres', topology: postgresTopology(postgres, env) });
  }
  topologies.push(...emulatedTopologies(settled, env));
  return topologies;
}
