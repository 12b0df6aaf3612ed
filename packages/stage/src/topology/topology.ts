import type { ServerHandle } from '../handle/handle.ts';
import type { StageMode } from '../mode-name.ts';
import type { Unavailable } from '../system/availability.ts';
import type { Executable } from '../system/executable.ts';
import type { AdvertisedEndpoint, ServerSpec } from './server-spec.ts';
import type { StageContext } from './stage-context.ts';

/** Servers that start together and have one handle: a single server, or a primary with its replicas. */
export interface ServerTopology<Handle> {
  /** The number of its servers; each has an endpoint. */
  readonly size: number;
  /** Further ports that each server listens on, as offsets from its own. */
  readonly portOffsets: readonly number[];
  /** Its clients speak UDP, which no fault proxy supports: they connect to the servers directly. */
  readonly isDatagram?: true;
  readonly docker: { readonly available: true; readonly images: readonly string[] } | Unavailable;
  /** Its services in docker-compose.test.yml, in the order of its servers. */
  readonly compose:
    | {
        readonly available: true;
        readonly services: readonly string[];
        /** The profile that starts them; absent for services that compose starts without one. */
        readonly profile?: string;
      }
    | Unavailable;
  /** The topology that replaces this one in Docker and compose, where other servers have its role. */
  readonly containerVariant?: ServerTopology<Handle>;
  /** Finds the executable of its servers for mode `local`, and fetches it if necessary. */
  locate(context: StageContext, signal: AbortSignal): Promise<Executable>;
  /**
   * Its servers in the order of their endpoints. Those of one group start together, after those of the groups
   * before have answered.
   */
  serverSpecs(endpoints: readonly AdvertisedEndpoint[]): readonly (readonly ServerSpec[])[];
  /** Resolves when the servers, each of which has answered, work together. */
  awaitFormed(
    handles: readonly ServerHandle[],
    context: StageContext,
    signal: AbortSignal,
  ): Promise<void>;
  toHandle(handles: readonly ServerHandle[], context: StageContext): Handle;
}

/** For a topology that runs as processes of this machine only. */
export function localOnly(reason: string): Unavailable {
  return { available: false, reason, remedy: `Use mode 'local' (HOLDFAST_STAGE=local)` };
}

/**
 * Services of compose, whose configuration is that of its file.
 * @param changed options of the stage that ask for another configuration.
 * @param profile the profile of the file that starts them, if it takes one.
 */
export function composeServices(
  services: readonly string[],
  changed: readonly string[] = [],
  profile?: string,
): ServerTopology<unknown>['compose'] {
  const [option] = changed;
  if (option === undefined) {
    return { available: true, services, ...(profile === undefined ? {} : { profile }) };
  }
  const reason = `${option} cannot change what docker-compose.test.yml says`;
  return { available: false, reason, remedy: `Use mode 'local' or 'docker'` };
}

/** The options whose values differ from the defaults. */
export function changedOptions(options: object, defaults: object): string[] {
  const plain = new Map<string, unknown>(Object.entries(defaults));
  return Object.entries(options)
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(plain.get(name)))
    .map(([name]) => name);
}

/** The topology itself, or the one that replaces it in a mode with containers. */
export function forMode<Handle>(
  mode: StageMode,
  topology: ServerTopology<Handle>,
): ServerTopology<Handle> {
  return mode === 'local' ? topology : (topology.containerVariant ?? topology);
}

/** A topology of one server. */
export function singleServer(
  server: Pick<ServerTopology<ServerHandle>, 'docker' | 'locate' | 'compose'> & {
    readonly serverSpec: (endpoint: AdvertisedEndpoint) => ServerSpec;
  },
): Omit<ServerTopology<ServerHandle>, 'containerVariant'> {
  const { docker, compose, locate } = server;
  return {
    size: 1,
    portOffsets: [],
    docker,
    compose,
    locate,
    serverSpecs: (endpoints) => [endpoints.map(server.serverSpec)],
    awaitFormed: () => Promise.resolve(),
    toHandle: (handles) => serverAt(handles, 0),
  };
}

/** The handle of a server by its index among the endpoints. */
export function serverAt(handles: readonly ServerHandle[], index: number): ServerHandle {
  const handle = handles[index];
  if (handle === undefined) throw new RangeError(`no server at index ${index}`);
  return handle;
}
