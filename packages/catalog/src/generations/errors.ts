import { HoldfastError, type Outcome, describeThrown } from '@holdfast/foundation';

/**
 * - `unreachable`: no connection, or none with the right to do it.
 * - `timeout`: no answer in time.
 * - `full`: it has no room.
 * - `damaged`: what it holds is not what was written.
 * - `missing`: a part of the generation is gone.
 * - `refused`: it answered with another error.
 * - `closed`: the store or the reader was closed.
 */
export type StoreFailure =
  | 'unreachable'
  | 'timeout'
  | 'full'
  | 'damaged'
  | 'missing'
  | 'refused'
  | 'closed';

/**
 * A store did not do what was asked; the generation that it had published is still the published one, but after a
 * publication whose `outcome` is `unknown`: its answer was lost.
 */
export class CatalogStoreError extends HoldfastError {
  readonly code = 'CATALOG_STORE';
  readonly store: string;
  readonly reason: StoreFailure;

  constructor(
    store: string,
    reason: StoreFailure,
    seen: string,
    { cause, outcome = 'not-applied' }: { cause?: unknown; outcome?: Outcome } = {},
  ) {
    const because = cause === undefined ? '' : `: ${describeThrown(cause)}`;
    super(`catalog: ${store} ${seen}${because}`, {
      outcome,
      ...(cause === undefined ? {} : { cause }),
    });
    this.store = store;
    this.reason = reason;
  }
}

/**
 * - `generation`: the store has published it, or a newer one.
 * - `token`: it has published none, but a higher token has begun one.
 */
export type FenceReason = 'generation' | 'token';

/** Another leader has published or begun since: nothing of this generation may be published anywhere. */
export class CatalogFencedError extends HoldfastError {
  readonly code = 'CATALOG_FENCED';
  readonly store: string;
  readonly reason: FenceReason;
  /** The one that the store has published; 0 for none. */
  readonly generation: number;
  /** The highest one that the store has seen, of a publication or of one that was only begun. */
  readonly token: number;

  constructor(
    store: string,
    given: { readonly generation: number; readonly token: number },
    seen: { readonly generation: number; readonly token: number },
  ) {
    super(
      `catalog: ${store} has generation ${seen.generation}, and has seen token ${seen.token}; ` +
        `generation ${given.generation} of token ${given.token} came too late, and the next sync begins anew`,
      { outcome: 'not-applied' },
    );
    this.store = store;
    this.reason = given.generation > seen.generation ? 'token' : 'generation';
    this.generation = seen.generation;
    this.token = seen.token;
  }
}
