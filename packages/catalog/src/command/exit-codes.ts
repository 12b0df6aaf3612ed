import { propertyOf } from '@holdfast/foundation';

/** How the command ends; signals end it with 128 and their number, as shells have it. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** Wrong flags or configuration; nothing was started. */
  usage: 2,
  /** No tier has a generation. */
  unavailable: 3,
  /** Another process syncs. */
  locked: 4,
  /** Something is served or published, but it is stale, incomplete, or not everywhere. */
  degraded: 5,
} as const;

const byCode: Readonly<Record<string, number>> = {
  CATALOG_USAGE: EXIT.usage,
  INVALID_OPTION: EXIT.usage,
  CATALOG_QUERY_INVALID: EXIT.usage,
  UNSUPPORTED_NODE: EXIT.usage,
  CATALOG_UNAVAILABLE: EXIT.unavailable,
  CATALOG_LOCKED: EXIT.locked,
};

export function exitCodeOf(error: unknown): number {
  // The directory of another sync.
  if (propertyOf(error, 'reason') === 'locked') return EXIT.locked;
  return byCode[String(propertyOf(error, 'code'))] ?? EXIT.failed;
}
