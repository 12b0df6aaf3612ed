import { HoldfastError } from '@holdfast/foundation';
import type { BudgetRefusal, BudgetResource } from './budget/budget.ts';

/** The budget has no room for a reservation; nothing was reserved. */
export class BudgetExhaustedError extends HoldfastError {
  readonly code = 'NETWORK_BUDGET_EXHAUSTED';
  readonly resource: BudgetResource;
  readonly reason: BudgetRefusal;

  constructor(budget: string, resource: BudgetResource, reason: BudgetRefusal, seen: string) {
    const wayOut =
      reason === 'too-large' ? 'ask for less, or raise the limit' : 'try later, or raise the limit';
    super(`budget ${budget}: ${seen}; nothing was reserved: ${wayOut}`, {
      retryable: reason !== 'too-large',
      outcome: 'not-applied',
    });
    this.resource = resource;
    this.reason = reason;
  }
}

/** No descriptor came free in time; nothing was opened. */
export class DescriptorsExhaustedError extends HoldfastError {
  readonly code = 'NETWORK_DESCRIPTORS_EXHAUSTED';
  /** How many the pool may have open. */
  readonly limit: number;
  readonly inUse: number;
  readonly idle: number;

  constructor(
    counts: { limit: number; inUse: number; idle: number },
    seen: string,
    cause: unknown,
  ) {
    const { limit, inUse, idle } = counts;
    super(
      `descriptors: ${seen}; ${inUse} in use and ${idle} idle of ${limit}; ` +
        `release what is held, or raise 'ulimit -n'`,
      { cause, retryable: true, outcome: 'not-applied' },
    );
    this.limit = limit;
    this.inUse = inUse;
    this.idle = idle;
  }
}

/** Memory is short; nothing was buffered. */
export class MemoryExhaustedError extends HoldfastError {
  readonly code = 'NETWORK_MEMORY_EXHAUSTED';
  readonly usedBytes: number;
  readonly limitBytes: number;

  constructor(kind: 'heap' | 'rss', usedBytes: number, limitBytes: number) {
    super(
      `memory: ${usedBytes} of ${limitBytes} bytes of ${kind} are used; nothing was admitted: ` +
        'try later, or give the process more memory',
      { retryable: true, outcome: 'not-applied' },
    );
    this.usedBytes = usedBytes;
    this.limitBytes = limitBytes;
  }
}

/** The disk is short of bytes or of inodes; a file that was to be replaced is as it was. */
export class DiskExhaustedError extends HoldfastError {
  readonly code = 'NETWORK_DISK_EXHAUSTED';
  readonly directory: string;
  /** What is left for users other than root. */
  readonly freeBytes: number;
  readonly freeInodes: number;

  constructor(
    directory: string,
    free: { bytes: number; inodes: number },
    seen: string,
    cause?: unknown,
  ) {
    super(
      `disk of ${directory}: ${seen}; ${free.bytes} bytes and ${free.inodes} inodes are free; ` +
        'nothing was changed: remove old files, then try again',
      { retryable: true, outcome: 'not-applied', ...(cause === undefined ? {} : { cause }) },
    );
    this.directory = directory;
    this.freeBytes = free.bytes;
    this.freeInodes = free.inodes;
  }
}

/** More calls arrive than can be served in time; the call was not started. */
export class OverloadedError extends HoldfastError {
  readonly code = 'NETWORK_OVERLOADED';
  readonly reason: 'queue-full' | 'waited-too-long';

  constructor(gate: string, reason: OverloadedError['reason'], seen: string, retryAfterMs: number) {
    super(`overload gate ${gate}: ${seen}; the call was not started`, {
      retryable: true,
      outcome: 'not-applied',
      retryAfterMs,
    });
    this.reason = reason;
  }
}
