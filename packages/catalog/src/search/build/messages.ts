import type { IndexBuildFailure } from '../errors.ts';
import type { BuiltIndex } from './index-builder.ts';

/** What the worker is started with. */
export interface BuildWorkerData {
  readonly maxBytes: number;
}

/** To the worker: a batch, or that there are no more. */
export type BuildRequest =
  | { readonly kind: 'batch'; readonly bytes: Uint8Array }
  | { readonly kind: 'finish' };

/** From the worker: that a batch was added, the index, or why there is none. */
export type BuildReply =
  | { readonly kind: 'added' }
  | { readonly kind: 'built'; readonly index: BuiltIndex }
  | { readonly kind: 'failed'; readonly reason: IndexBuildFailure; readonly seen: string };
