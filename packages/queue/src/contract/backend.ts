import { afterEach, test } from '@jest/globals';
import type { QueueBackend } from '../backend.ts';
import {
  honoursDeduplication,
  honoursEpochs,
  honoursHighWaterMarks,
  honoursNonces,
} from './deduplication.ts';
import { honoursDeadLetters, honoursLeases, honoursOrder, honoursTakeover } from './deliveries.ts';
import { type StoreGuarantee, group, testsWithout } from './guarantees.ts';
import { honoursCrashCounts, honoursHeldJobs, honoursOperations } from './operations.ts';
import { type OpenBackend, OpenedBackends } from './opened.ts';
import { honoursOutcomeNews, honoursOutcomes } from './outcomes.ts';
import {
  honoursInspection,
  honoursPartitions,
  honoursPriorities,
  honoursRouting,
} from './priorities-and-keys.ts';
import { honoursLimitStore } from './sharing/limits.ts';
import { honoursScheduleStore } from './sharing/schedules.ts';
import { honoursWindows } from './sharing/windows.ts';

/**
 * The guarantees of a backend to its queue: it adds each job once by (owner, epoch, sequence), only ever raises
 * high-water marks, fences former owners, and lets only the holder of a lease end it. Every backend's test calls
 * this function.
 * @param options.without the guarantees that the store does not give; their tests are skipped by name.
 */
export function honoursBackendContract(
  open: () => Promise<OpenBackend>,
  { without = [] }: { without?: readonly StoreGuarantee[] } = {},
): void {
  const testFor = testsWithout(without);
  const opened = new OpenedBackends();
  const openUp = (): Promise<QueueBackend> => opened.open(open);
  afterEach(() => opened.close());

  group('order and limits', () => honoursOrder(openUp, test, testFor('deduplication')));
  group('high-water marks', () => honoursHighWaterMarks(openUp, testFor('deduplication')));
  group('epochs', () => honoursEpochs(openUp, testFor('deduplication')));
  group('nonces', () => honoursNonces(openUp, testFor('deduplication')));
  group('deduplication', () => honoursDeduplication(openUp, testFor('deduplication')));
  group('leases', () => honoursLeases(openUp, test));
  group('takeover', () => honoursTakeover(openUp, testFor('takeover')));
  group('dead letters', () => honoursDeadLetters(openUp, test));
  group('partitions', () => honoursPartitions(openUp, testFor('keys')));
  group('routing', () => honoursRouting(openUp, testFor('keys')));
  group('priorities', () => honoursPriorities(openUp, test, testFor('fairness')));
  group('outcomes', () => honoursOutcomes(openUp, testFor('outcomes')));
  group('news of outcomes', () => honoursOutcomeNews(openUp, testFor('outcomes')));
  group('schedules', () => honoursScheduleStore(openUp, testFor('schedules')));
  group('limits', () => honoursLimitStore(openUp, testFor('limits')));
  group('windows', () => honoursWindows(openUp, testFor('debounce')));
  group('operations', () => honoursOperations(openUp, testFor('full-control')));
  group('held jobs', () => honoursHeldJobs(openUp, testFor('full-control')));
  group('crashes', () => honoursCrashCounts(openUp, testFor('full-control')));
  group('inspection', () => honoursInspection(openUp, testFor('keys')));
}
