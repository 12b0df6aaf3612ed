import { describeThrown, errorChain, hideCredentials, propertyOf } from '@holdfast/foundation';
import { EXIT } from './exit-codes.ts';

interface KnownError {
  readonly exitCode: number;
  /** The way out, for errors whose message has none. */
  readonly remedy?: string;
}

const known: Readonly<Record<string, KnownError>> = {
  CLI_USAGE: { exitCode: EXIT.usage },
  REPORT_RUN_NOT_READABLE: { exitCode: EXIT.usage },
  INVALID_OPTION: { exitCode: EXIT.usage },
  UNSUPPORTED_NODE: { exitCode: EXIT.usage },
  CLI_SCORED_MODULE: { exitCode: EXIT.usage },
  CLI_NO_SUITES: { exitCode: EXIT.unavailable },
  CLI_SCORE_UNAVAILABLE: { exitCode: EXIT.unavailable },
  CLI_REDIS_UNUSABLE: { exitCode: EXIT.unavailable },
  QUEUE_BACKEND_FAILED: { exitCode: EXIT.unavailable },
  QUEUE_SERVER_UNSUPPORTED: { exitCode: EXIT.unavailable },
  QUEUE_UNDRAINED: { exitCode: EXIT.unavailable },
  STAGE_MODE_UNAVAILABLE: { exitCode: EXIT.unavailable },
  STAGE_FAULT_UNSUPPORTED: { exitCode: EXIT.unavailable },
  STAGE_SERVER_UNREACHABLE: { exitCode: EXIT.unavailable },
  STAGE_SERVER_START_FAILED: { exitCode: EXIT.unavailable },
  STAGE_SERVER_TIMEOUT: { exitCode: EXIT.unavailable },
  STAGE_REDIS_NOT_FOUND: { exitCode: EXIT.unavailable },
  STAGE_POSTGRES_NOT_FOUND: { exitCode: EXIT.unavailable },
  STAGE_PGBOUNCER_NOT_FOUND: { exitCode: EXIT.unavailable },
  STAGE_POSTGRES_TEMPLATE_FAILED: { exitCode: EXIT.unavailable },
  STAGE_GIT_NOT_FOUND: { exitCode: EXIT.unavailable },
  STAGE_FOLDER_UNUSABLE: { exitCode: EXIT.unavailable },
  STAGE_ENGINE_REFUSED: { exitCode: EXIT.unavailable },
};

export function exitCodeOf(error: unknown): number {
  return known[String(propertyOf(error, 'code'))]?.exitCode ?? EXIT.unexpected;
}

/** An error in one line, with what is behind it and the way out. */
export function describeError(error: unknown): string {
  const message = messageOf(error);
  const behind = [...errorChain(error)]
    .slice(1)
    .map(messageOf)
    .findLast((each) => each !== '');
  const text = behind === undefined || message.includes(behind) ? message : `${message}: ${behind}`;
  const remedy = known[String(propertyOf(error, 'code'))]?.remedy;
  return remedy === undefined ? text : `${text}. ${remedy}`;
}

/** Without credentials and control characters, with which it could write over other lines. */
function messageOf(thrown: unknown): string {
  const text = hideCredentials(describeThrown(propertyOf(thrown, 'message') ?? thrown));
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}
