import type { Place, Program, ServerKind, StageContext } from './server-spec.ts';
import type { ServerHandle } from '../stage.ts';

/** Servers that stand together and are handed out as one: one server alone, or a topology. */
export interface Ensemble<Handle> {
  /** How many servers it has; each is given an address. */
  readonly size: number;
  /** Further ports that each server listens on, as distances from its own. */
  readonly portOffsets: readonly number[];
  /** Its clients speak UDP, which no fault proxy carries: they are given the servers' own addresses. */
  readonly isDatagram?: true;
  readonly docker:
    | { readonly stands: true; readonly images: readonly string[] }
    | { readonly stands: false; readonly why: string };
  /** The services of docker-compose.test.yml that are its servers, in the order of their addresses. */
  readonly compose:
    | { readonly stands: true; readonly services: readonly string[] }
    | { readonly stands: false; readonly why: string };
  /**
   * What stands in its place in Docker and compose, where other servers do what it does; `docker` and
   * `compose` above say nothing then.
   */
  readonly contained?: Ensemble<Handle>;
  /** Finds the program of its servers for mode `local`, fetching it if need be. */
  locate(context: StageContext, signal: AbortSignal): Promise<Program>;
  /**
   * What its servers are, in the order of their addresses. Those of a wave start together, once those of
   * the waves before have answered.
   */
  cast(places: readonly Place[]): readonly (readonly ServerKind[])[];
  /** Resolves when the servers, each of which has answered, do together what they are there for. */
  settle(
    handles: readonly ServerHandle[],
    context: StageContext,
    signal: AbortSignal,
  ): Promise<void>;
  present(handles: readonly ServerHandle[], context: StageContext): Handle;
}

/** How servers stand that compose has brought up: as its file says, so that no option may say otherwise. */
export function composedAs(
  services: readonly string[],
  given: readonly string[],
): Ensemble<unknown>['compose'] {
  const [option] = given;
  if (option === undefined) return { stands: true, services };
  return { stands: false, why: `${option} cannot change what docker-compose.test.yml says` };
}

/** What an ensemble is in a mode. */
export function standingIn<Handle>(
  mode: 'docker' | 'local' | 'compose',
  ensemble: Ensemble<Handle>,
): Ensemble<Handle> {
  return mode === 'local' ? ensemble : (ensemble.contained ?? ensemble);
}

/** An ensemble of one. */
export function soloist(
  solo: Pick<Ensemble<ServerHandle>, 'docker' | 'locate' | 'compose'> & {
    readonly cast: (place: Place) => ServerKind;
  },
): Omit<Ensemble<ServerHandle>, 'contained'> {
  return {
    size: 1,
    portOffsets: [],
    docker: solo.docker,
    compose: solo.compose,
    locate: solo.locate,
    cast: (places) => [places.map(solo.cast)],
    settle: () => Promise.resolve(),
    present: (handles) => member(handles, 0),
  };
}

/** The handle of a server by its place among the addresses. */
export function member(handles: readonly ServerHandle[], place: number): ServerHandle {
  const handle = handles[place];
  if (handle === undefined) throw new RangeError(`no server at place ${place}`);
  return handle;
}
