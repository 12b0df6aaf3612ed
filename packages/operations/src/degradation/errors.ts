import { HoldfastError, describeValue } from '@holdfast/foundation';

/** Features need each other in a circle, so that none of them could ever be on again. */
export class FeatureCycleError extends HoldfastError {
  readonly code = 'OPERATIONS_FEATURE_CYCLE';
  /** The features of the circle, in their order; the first one is needed by the last. */
  readonly cycle: readonly string[];

  constructor(cycle: readonly string[]) {
    super(`features need each other in a circle: ${[...cycle, cycle[0]].join(' → ')}`, {
      outcome: 'not-applied',
    });
    this.cycle = cycle;
  }
}

/** There is no feature of that name. */
export class UnknownFeatureError extends HoldfastError {
  readonly code = 'OPERATIONS_FEATURE_UNKNOWN';

  constructor(feature: unknown, known: readonly string[]) {
    super(`there is no feature ${describeValue(feature)}; there are ${known.join(', ')}`, {
      outcome: 'not-applied',
    });
  }
}
