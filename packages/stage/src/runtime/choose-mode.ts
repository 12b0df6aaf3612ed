import { InvalidOptionError } from '@holdfast/foundation';
import { StageModeError } from '../errors.ts';
import { STAGE_MODES, type StageMode } from '../mode-name.ts';
import type { EngineAddress } from '../system/container-engine.ts';
import type { ComposeAvailability, ComposeServer } from './compose/project.ts';
import type { DockerAvailability } from './container/availability.ts';

/** The mode that the caller and the environment request. */
export interface RequestedMode {
  readonly mode: StageMode | undefined;
  /** Value of HOLDFAST_STAGE; an empty one counts as unset. */
  readonly variable: string | undefined;
}

/** The mode of a stage, with what it needs in that mode. */
export type ChosenMode =
  | { readonly kind: 'local' }
  | { readonly kind: 'docker'; readonly engine: EngineAddress }
  | {
      readonly kind: 'compose';
      readonly engine: EngineAddress;
      readonly servers: ReadonlyMap<string, ComposeServer>;
    };

/**
 * The caller's mode, else that of HOLDFAST_STAGE, else docker when it is available, else local.
 * @throws StageModeError when docker or compose is requested and unavailable; InvalidOptionError for an
 * unknown HOLDFAST_STAGE.
 */
export async function chooseMode(
  request: RequestedMode,
  checkDocker: () => Promise<DockerAvailability>,
  checkCompose: () => Promise<ComposeAvailability>,
): Promise<ChosenMode> {
  const requested = request.mode ?? parseVariable(request.variable);
  if (requested === 'local') return { kind: 'local' };
  if (requested === 'compose') {
    const compose = await checkCompose();
    if (compose.available) {
      return { kind: 'compose', engine: compose.engine, servers: compose.servers };
    }
    throw new StageModeError('compose', compose.reason, compose.remedy, compose.cause);
  }
  const docker = await checkDocker();
  if (docker.available) return { kind: 'docker', engine: docker.engine };
  if (requested === undefined) return { kind: 'local' };
  throw new StageModeError('docker', docker.reason, docker.remedy, docker.cause);
}

function parseVariable(variable: string | undefined): StageMode | undefined {
  if (variable === undefined || variable === '') return undefined;
  const mode = STAGE_MODES.find((known) => known === variable);
  if (mode !== undefined) return mode;
  const permitted = `one of ${STAGE_MODES.join(', ')}, or unset`;
  throw new InvalidOptionError('openStage', 'HOLDFAST_STAGE', variable, permitted);
}
