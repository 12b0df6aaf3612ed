import { HoldfastError } from '@holdfast/foundation';

/** A flag, an argument or a variable of the environment is wrong or missing; nothing was started. */
export class CatalogUsageError extends HoldfastError {
  readonly code = 'CATALOG_USAGE';

  /** @param remedy what to do, as a sentence. */
  constructor(seen: string, remedy: string, cause?: unknown) {
    super(`${seen}. ${remedy}`, {
      outcome: 'not-applied',
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
