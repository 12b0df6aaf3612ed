import { afterEach, test } from '@jest/globals';
import type { QueueBackend } from '../backend.ts';
import { honoursDeduplication, honoursEpochs, honoursHighWaterMarks } from './deduplication.ts';
import { honoursDeadLetters, honoursLeases, honoursOrder, honoursTakeover } from './deliveries.ts';
import { type StoreGuarantee, group, testsWithout } from './guarantees.ts';
import {
  honoursInspection,
  honoursPartitions,
  honoursPriorities,
  honoursRouting,
} from './priorities-and-keys.ts';

/** A backend whose server is up, and a function that closes both. */
export interface OpenBackend {
  readonly backend: QueueBackend;
  close(): Promise<void>;
}

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
  const opened: OpenBackend[] = [];
  const openUp = async (): Promise<QueueBackend> => {
    const one = await open();
    opened.push(one);
    await one.backend.whenConnected(new AbortController().signal);
    return one.backend;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });

  group('order and limits', () => honoursOrder(openUp, test, testFor('deduplication')));
  group('high-water marks', () => honoursHighWaterMarks(openUp, testFor('deduplication')));
  group('epochs', () => honoursEpochs(openUp, testFor('deduplication')));
  group('deduplication', () => honoursDeduplication(openUp, testFor('deduplication')));
  group('leases', () => honoursLeases(openUp, test));
  group('takeover', () => honoursTakeover(openUp, testFor('takeover')));
  group('dead letters', () => honoursDeadLetters(openUp, test));
  group('partitions', () => honoursPartitions(openUp, testFor('keys')));
  group('routing', () => honoursRouting(openUp, testFor('keys')));
  group('priorities', () => honoursPriorities(openUp, test, testFor('fairness')));
  group('inspection', () => honoursInspection(openUp, testFor('keys')));
}
