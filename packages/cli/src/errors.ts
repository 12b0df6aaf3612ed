import { HoldfastError } from '@holdfast/foundation';

/** A word of the command line is wrong or missing; nothing was started. */
export class CommandUsageError extends HoldfastError {
  readonly code = 'CLI_USAGE';

  /** @param remedy what to type instead, as a sentence. */
  constructor(seen: string, remedy: string) {
    super(`${seen}. ${remedy}`, { outcome: 'not-applied' });
  }
}

/** There is nothing here that could be run. */
export class NoSuitesError extends HoldfastError {
  readonly code = 'CLI_NO_SUITES';

  constructor(folder: string) {
    super(
      `no suites are in ${folder} or above it. For those of Holdfast: ` +
        `'git clone https://github.com/holdfast-js/holdfast && cd holdfast && npm start'. For your own: ` +
        `'npm install --save-dev jest @holdfast/report @holdfast/stage' and tests that call record(). ` +
        `To see servers break without either: 'holdfast demo'`,
      { outcome: 'not-applied' },
    );
  }
}

/** The module that is to be scored cannot be used. */
export class ScoredModuleError extends HoldfastError {
  readonly code = 'CLI_SCORED_MODULE';

  /** @param seen with the path of the module. @param remedy what it has to be, as sentences. */
  constructor(seen: string, remedy: string) {
    super(remedy === '' ? seen : `${seen}. ${remedy}`, { outcome: 'not-applied' });
  }
}

/** No server could be started to score a module on. */
export class ScoreUnavailableError extends HoldfastError {
  readonly code = 'CLI_SCORE_UNAVAILABLE';

  constructor(reason: string) {
    super(reason, { outcome: 'not-applied' });
  }
}

/** Redis cannot be reached, or refuses what the command needs; nothing was changed. */
export class RedisUnusableError extends HoldfastError {
  readonly code = 'CLI_REDIS_UNUSABLE';

  constructor(reason: string) {
    super(
      `${reason}. Give the address of a Redis that answers, such as --redis redis://127.0.0.1:6379`,
      {
        outcome: 'not-applied',
      },
    );
  }
}
