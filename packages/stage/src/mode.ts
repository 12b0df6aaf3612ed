import { InvalidOptionError } from '@holdfast/resilience';
import { StageModeError } from './errors.ts';
import type { StageMode } from './stage.ts';

export const STAGE_MODES: readonly StageMode[] = ['docker', 'local'];

/** Why Docker cannot stand here, and what can be done about it. */
export interface Obstacle {
  readonly why: string;
  readonly wayOut: string;
  readonly cause?: unknown;
}

/** What the caller and the environment ask for. */
export interface ModeWish {
  readonly mode: StageMode | undefined;
  /** Value of HOLDFAST_STAGE; empty counts as unset. */
  readonly variable: string | undefined;
}

/**
 * The caller's mode, else that of HOLDFAST_STAGE, else docker where nothing stands in its way, else local.
 * @throws StageModeError when docker is asked for and cannot stand; InvalidOptionError for an unknown
 * HOLDFAST_STAGE.
 */
export async function chooseMode(
  wish: ModeWish,
  obstacleToDocker: () => Promise<Obstacle | undefined>,
): Promise<StageMode> {
  const asked = wish.mode ?? readVariable(wish.variable);
  if (asked === 'local') return 'local';
  const obstacle = await obstacleToDocker();
  if (obstacle === undefined) return 'docker';
  if (asked === undefined) return 'local';
  throw new StageModeError('docker', obstacle.why, obstacle.wayOut, obstacle.cause);
}

function readVariable(variable: string | undefined): StageMode | undefined {
  if (variable === undefined || variable === '') return undefined;
  const mode = STAGE_MODES.find((known) => known === variable);
  if (mode !== undefined) return mode;
  const permitted = `one of ${STAGE_MODES.join(', ')}, or unset`;
  throw new InvalidOptionError('openStage', 'HOLDFAST_STAGE', variable, permitted);
}
