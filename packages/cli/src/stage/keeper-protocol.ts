import type { StageMode } from '@holdfast/stage';
import type { StageServerName } from './stage-server-names.ts';
import type { KeptStage } from './stage-state.ts';

/** What the process that keeps a stage is started with, as JSON. */
export interface KeeperRequest {
  readonly stateFile: string;
  readonly names: readonly StageServerName[];
  readonly mode?: StageMode;
}

/** What it sends to the process that has started it. */
export type KeeperMessage =
  | { readonly kind: 'notice'; readonly text: string }
  | { readonly kind: 'up'; readonly stage: KeptStage }
  | { readonly kind: 'failed'; readonly text: string; readonly exitCode: number };
