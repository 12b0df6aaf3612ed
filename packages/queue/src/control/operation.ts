import type { OperationOutcome } from './control.ts';

/** The operations that travel with the jobs of their topic. */
export const OPERATIONS = ['pause', 'resume', 'cancel', 'reschedule', 'promote'] as const;

/** An operation that travels with the jobs of its topic. */
export type OperationKind = (typeof OPERATIONS)[number];

const ON_JOBS: ReadonlySet<OperationKind> = new Set(['cancel', 'reschedule', 'promote']);

/** Whether the operation concerns one job, whose id is its payload. */
export function isOnJob(operation: OperationKind | undefined): operation is OperationKind {
  return operation !== undefined && ON_JOBS.has(operation);
}

/** The id of the job that an operation concerns. */
export function targetOf({ payload }: { readonly payload: string }): string {
  return String(JSON.parse(payload));
}

const OUTCOMES: Readonly<Record<OperationOutcome, true>> = {
  paused: true,
  'already-paused': true,
  'unknown-topic': true,
  resumed: true,
  'not-paused': true,
  removed: true,
  aborting: true,
  'not-found': true,
  rescheduled: true,
  running: true,
  promoted: true,
  waiting: true,
};

/** Whether a store has named one of the outcomes. */
export function isOutcome(value: unknown): value is OperationOutcome {
  return typeof value === 'string' && Object.hasOwn(OUTCOMES, value);
}
