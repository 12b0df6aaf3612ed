import type { DeadlineQueue, Emitter } from '@holdfast/foundation';
import type { DatabaseEvents } from '../events.ts';
import type { HostRouter } from '../hosts/host-router.ts';
import type { LeakDetector } from '../pool/leak-detector.ts';
import type { ResolvedDatabaseOptions } from '../options.ts';
import type { CallCounts } from './call-counts.ts';
import type { CallGuard } from './call-guard.ts';
import type { StatementRunner } from './queries.ts';

/** What all calls of one database share. */
export interface CallDeps {
  readonly options: ResolvedDatabaseOptions;
  readonly events: Emitter<DatabaseEvents>;
  readonly router: HostRouter;
  readonly queries: StatementRunner;
  readonly counts: CallCounts;
  readonly guard: CallGuard;
  readonly leaks: LeakDetector;
  /** Of `queryTimeoutMs` each, for calls without their own timeout. */
  readonly deadlines: DeadlineQueue;
}
