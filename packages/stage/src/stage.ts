import { randomUUID } from 'node:crypto';
import { type Clock, systemRandom } from '@holdfast/resilience';
import { openInDocker } from './docker/docker.ts';
import { judgeDocker } from './docker/verdict.ts';
import { openLocally } from './local/local.ts';
import { chooseMode } from './mode.ts';
import { readStageOptions } from './options.ts';
import { redisServer } from './redis/redis.ts';
import { openWatchdog } from './watchdog.ts';

/** What the servers run as: containers, or processes of this machine. */
export type StageMode = 'docker' | 'local';

export interface RedisStageOptions {
  /**
   * Directives of redis.conf by name, such as `{ appendonly: 'yes', appendfsync: 'everysec' }`; the value
   * is the rest of the line as that file would have it. Default: nothing is kept over a restart
   * (`save ""`, `appendonly no`). Address and data folder belong to the stage.
   */
  settings?: Readonly<Record<string, string>>;
}

export interface StageOptions {
  /** Default: `HOLDFAST_STAGE`, else docker where it can stand, else local. */
  mode?: StageMode;
  /** A standalone Redis. */
  redis?: true | RedisStageOptions;
  /** How long a server may take from its start to its first answer, in milliseconds. Default 30 000. */
  readyTimeoutMs?: number;
  /**
   * How long an orderly stop may take before it becomes SIGKILL, and how long each other verb waits for
   * its effect, in milliseconds. Default 5 000.
   */
  stopTimeoutMs?: number;
  /** How long fetching a missing binary or image may take, in milliseconds. Default 120 000. */
  fetchTimeoutMs?: number;
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
  /** What it has printed so far, across restarts: the newest `logMaxBytes` of it. */
  log(): Promise<string>;
}

/** Which handle each option brings. */
interface StageServers {
  readonly redis: ServerHandle;
}

interface StageItself {
  readonly mode: StageMode;
  /** Ends every server and removes all it left. Calling it again changes nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** An open stage, with a handle for each server that was asked for. */
export type Stage<O extends StageOptions = StageOptions> = StageItself & {
  readonly [
    Name in keyof StageServers as O[Name] extends true | object ? Name : never
  ]: StageServers[Name];
};

/**
 * Starts real servers and resolves when each has given its first answer.
 * @throws InvalidOptionError, StageModeError, RedisNotFoundError, ServerStartError, ServerTimeoutError;
 * nothing is left of the stage then.
 */
export function openStage<const O extends StageOptions>(options: O): Promise<Stage<O>>;
export async function openStage(
  options: StageOptions,
): Promise<StageItself & Partial<StageServers>> {
  const settled = readStageOptions(options);
  const signal = settled.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const { redis, clock } = settled;
  const { env } = process;
  const kinds = redis === undefined ? [] : [redisServer(redis.settings, env)];
  const images = kinds.map((kind) => kind.container.image);
  const chosen = await chooseMode({ mode: settled.mode, variable: env['HOLDFAST_STAGE'] }, () =>
    judgeDocker(images, { ...settled, signal, env }),
  );
  const watchdog = openWatchdog(clock);
  const context = { ...settled, id: randomUUID(), random: systemRandom, watchdog };
  const opened = await Promise.allSettled(
    kinds.map((kind) =>
      chosen.mode === 'docker'
        ? openInDocker(kind, context, chosen.engine, signal)
        : openLocally(kind, context, signal),
    ),
  );
  const servers = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));

  const closeAll = async (): Promise<void> => {
    const closings = await Promise.allSettled(servers.map((server) => server.close()));
    await watchdog.close();
    throwFirst(closings);
  };
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= closeAll());
  try {
    throwFirst(opened);
  } catch (error) {
    await close();
    throw error;
  }
  const handles = servers.map(({ handle }) => [handle.name, handle] as const);
  return { ...Object.fromEntries(handles), mode: chosen.mode, close, [Symbol.asyncDispose]: close };
}

function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
