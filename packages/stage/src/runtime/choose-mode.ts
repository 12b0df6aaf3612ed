import { InvalidOptionError } from '@holdfast/foundation';
import type { ComposeVerdict, ComposedServer } from './compose/project.ts';
import type { EngineAddress } from '../system/container-engine.ts';
import type { DockerVerdict } from './docker/availability.ts';
import { StageModeError } from '../errors.ts';
import type { StageMode } from '../stage.ts';

export const STAGE_MODES: readonly StageMode[] = ['docker', 'local', 'compose'];

/** What the caller and the environment ask for. */
export interface ModeWish {
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
      readonly servers: ReadonlyMap<string, ComposedServer>;
    };

/**
 * The caller's mode, else that of HOLDFAST_STAGE, else docker where nothing stands in its way, else local.
 * @throws StageModeError when docker or compose is asked for and cannot stand; InvalidOptionError for an unknown
 * HOLDFAST_STAGE.
 */
export async function chooseMode(
  wish: ModeWish,
  judge: () => Promise<DockerVerdict>,
  judgeComposed: () => Promise<ComposeVerdict>,
): Promise<ChosenMode> {
  const asked = wish.mode ?? readVariable(wish.variable);
  if (asked === 'local') return { mode: 'local' };
  if (asked === 'compose') {
    const up = await judgeComposed();
    if (up.stands) return { mode: 'compose', engine: up.engine, servers: up.servers };
    throw new StageModeError('compose', up.why, up.wayOut, up.cause);
  }
  const verdict = await judge();
  if (verdict.stands) return { mode: 'docker', engine: verdict.engine };
  if (asked === undefined) return { mode: 'local' };
  throw new StageModeError('docker', verdict.why, verdict.wayOut, verdict.cause);
}

function readVariable(variable: string | undefined): StageMode | undefined {
  if (variable === undefined || variable === '') return undefined;
  const mode = STAGE_MODES.find((known) => known === variable);
  if (mode !== undefined) return mode;
  const permitted = `one of ${STAGE_MODES.join(', ')}, or unset`;
  throw new InvalidOptionError('openStage', 'HOLDFAST_STAGE', variable, permitted);
}
