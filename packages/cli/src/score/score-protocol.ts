import type { Check } from './check.ts';
import type { ScoredKind } from './scored-module.ts';

/** What the process of one probe is started with. */
export interface ScoreRequest {
  readonly kind: ScoredKind;
  /** Of the module, absolute. */
  readonly path: string;
  /** Without a probe the module is imported, and nothing is started. */
  readonly probe: string | undefined;
  readonly mode: 'local' | 'docker' | undefined;
  readonly directory: string;
}

/** What it answers, once. */
export type ScoreAnswer =
  | { readonly kind: 'imported' }
  | { readonly kind: 'checks'; readonly checks: readonly Check[] }
  /** The module itself cannot be used, or no server could be started. */
  | { readonly kind: 'failed'; readonly text: string; readonly exitCode: number }
  /** The probe ended with an error of the module. */
  | { readonly kind: 'threw'; readonly text: string };
