import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { devNull } from 'node:os';
import { errorChain, propertyOf } from '@holdfast/foundation';

/** What a Node process may open where the system does not say. */
const USUAL_LIMIT = 1_024;
/** What is left to others in the process: DNS lookups, `import()`, libraries. */
const RESERVED_DESCRIPTORS = 16;
const SHORTAGES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ERR_WORKER_INIT_FAILED']);
/** What failing calls say when it was the descriptor that they could not have. */
const DISGUISES: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED']);

/**
 * How many descriptors this process may still open: the soft limit without what is open now and without
 * 16 for others. At least 1.
 * @param proc where `/proc/self` is.
 */
export function descriptorsLeft(proc = '/proc/self'): number {
  let limit = USUAL_LIMIT;
  let open = 0;
  try {
    const [, soft] =
      /^Max open files\s+(\d+)/m.exec(readFileSync(`${proc}/limits`, 'latin1')) ?? [];
    limit = Number(soft ?? USUAL_LIMIT);
    open = readdirSync(`${proc}/fd`).length;
  } catch {
    // Not Linux, or nothing can be opened any more.
  }
  return Math.max(1, limit - open - RESERVED_DESCRIPTORS);
}

/** Whether a call failed for want of a descriptor: `doubtful` when its error may say something else than its cause. */
export function shortageOf(error: unknown): 'certain' | 'doubtful' | 'none' {
  let found: 'doubtful' | 'none' = 'none';
  for (const link of errorChain(error)) {
    const code = propertyOf(link, 'code');
    if (SHORTAGES.has(code)) return 'certain';
    if (DISGUISES.has(code)) found = 'doubtful';
  }
  return found;
}

/** Whether nothing can be opened at this moment. */
export function isExhausted(): boolean {
  try {
    closeSync(openSync(devNull, 'r'));
    return false;
  } catch (error) {
    return shortageOf(error) === 'certain';
  }
}
