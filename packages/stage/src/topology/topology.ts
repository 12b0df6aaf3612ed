import type { ServerAddress, Executable, ServerSpec, StageContext } from './server-spec.ts';
import type { ServerHandle } from '../stage.ts';

/** Servers that stand together and are handed out as one: one server alone, or a topology. */
export interface ServerTopology<Handle> {
  /** How many servers it has; each is given an address. */
  readonly size: number;
  /** Further ports that each server listens on, as distances from its own. */
  readonly portOffsets: readonly number[];
  /** Its clients speak UDP, which no fault proxy carries: they are given the servers' own addresses. */
  readonly isDatagram?: true;
  readonly docker:
    | { readonly available: true; readonly images: readonly string[] }
    | { readonly available: false; readonly reason: string };
  /** The services of docker-compose.test.yml that are its servers, in the order of their addresses. */
  readonly compose:
    | { readonly available: true; readonly services: readonly string[] }
    | { readonly available: false; readonly reason: string };
  /**
   * What stands in its place in Docker and compose, where other servers do what it does; `docker` and
   * `compose` above say nothing then.
   */
  readonly containerVariant?: ServerTopology<Handle>;
  /** Finds the program of its servers for mode `local`, fetching it if need be. */
  locate(context: StageContext, signal: AbortSignal): Promise<Executable>;
  /**
   * What its servers are, in the order of their addresses. Those of a wave start together, once those of
   * the waves before have answered.
   */
  serverSpecs(places: readonly ServerAddress[]): readonly (readonly ServerSpec[])[];
  /** Resolves when the servers, each of which has answered, do together what they are there for. */
  awaitFormed(
    handles: readonly ServerHandle[],
    context: StageContext,
    signal: AbortSignal,
  ): Promise<void>;
  toHandle(handles: readonly ServerHandle[], context: StageContext): Handle;
}

/** How servers stand that compose has brought up: as its file says, so that no option may say otherwise. */
export function composeServices(
  services: readonly string[],
  given: readonly string[],
): ServerTopology<unknown>['compose'] {
  const [option] = given;
  if (option === undefined) return { available: true, services };
  return { available: false, reason: `${option} cannot change what docker-compose.test.yml says` };
}

/** What an ensemble is in a mode. */
export function forMode<Handle>(
  mode: 'docker' | 'local' | 'compose',
  ensemble: ServerTopology<Handle>,
): ServerTopology<Handle> {
  return mode === 'local' ? ensemble : (ensemble.containerVariant ?? ensemble);
}

/** An ensemble of one. */
export function singleServer(
  solo: Pick<ServerTopology<ServerHandle>, 'docker' | 'locate' | 'compose'> & {
    readonly cast: (place: ServerAddress) => ServerSpec;
  },
): Omit<ServerTopology<ServerHandle>, 'containerVariant'> {
  return {
    size: 1,
    portOffsets: [],
    docker: solo.docker,
    compose: solo.compose,
    locate: solo.locate,
    serverSpecs: (places) => [places.map(solo.cast)],
    awaitFormed: () => Promise.resolve(),
    toHandle: (handles) => serverAt(handles, 0),
  };
}

/** The handle of a server by its place among the addresses. */
export function serverAt(handles: readonly ServerHandle[], place: number): ServerHandle {
  const handle = handles[place];
  if (handle === undefined) throw new RangeError(`no server at place ${place}`);
  return handle;
}
