import { InvalidOptionError } from '@holdfast/foundation';
import type { ComposeAvailability, ComposeServer } from './compose/project.ts';
import type { EngineAddress } from '../system/container-engine.ts';
import type { DockerAvailability } from './docker/availability.ts';
import { StageModeError } from '../errors.ts';
import type { StageMode } from '../stage.ts';

export const STAGE_MODES: readonly StageMode[] = ['docker', 'local', 'compose'];

/** What the caller and the environment ask for. */
export interface RequestedMode {
  readonly mode: StageMode | undefined;
  /** Value of HOLDFAST_STAGE; empty counts as unset. */
  readonly variable: string | undefined;
}

/** The mode a stage stands in, with what it needs for it. */
export type ChosenMode =
  | { readonly mode: 'local' }
  | { readonly mode: 'docker'; readonly engine: EngineAddress }
  | {
      readonly mode: 'compose';
      readonly engine: EngineAddress;
      readonly servers: ReadonlyMap<string, ComposeServer>;
    };

/**
 * The caller's mode, else that of HOLDFAST_STAGE, else docker where nothing stands in its way, else local.
 * @throws StageModeError when docker or compose is asked for and cannot stand; InvalidOptionError for an unknown
 * HOLDFAST_STAGE.
 */
export async function chooseMode(
  wish: RequestedMode,
  judge: () => Promise<DockerAvailability>,
  judgeComposed: () => Promise<ComposeAvailability>,
): Promise<ChosenMode> {
  const asked = wish.mode ?? parseVariable(wish.variable);
  if (asked === 'local') return { mode: 'local' };
  if (asked === 'compose') {
    const up = await judgeComposed();
    if (up.available) return { mode: 'compose', engine: up.engine, servers: up.servers };
    throw new StageModeError('compose', up.reason, up.remedy, up.cause);
  }
  const verdict = await judge();
  if (verdict.available) return { mode: 'docker', engine: verdict.engine };
  if (asked === undefined) return { mode: 'local' };
  throw new StageModeError('docker', verdict.reason, verdict.remedy, verdict.cause);
}

function parseVariable(variable: string | undefined): StageMode | undefined {
  if (variable === undefined || variable === '') return undefined;
  const mode = STAGE_MODES.find((known) => known === variable);
  if (mode !== undefined) return mode;
  const permitted = `one of ${STAGE_MODES.join(', ')}, or unset`;
  throw new InvalidOptionError('openStage', 'HOLDFAST_STAGE', variable, permitted);
}
