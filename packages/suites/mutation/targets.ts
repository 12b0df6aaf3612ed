/** Which tests must notice a fault in which sources. */
export interface Target {
  readonly name: string;
  /** The folder of its package. */
  readonly package: string;
  readonly sources: readonly string[];
  /** Matches the paths of its test files. */
  readonly tests: string;
}

export const targets: readonly Target[] = [
  {
    package: 'resilience',
    name: 'bulkhead',
    sources: ['bulkhead/create-bulkhead.ts'],
    tests: 'test/bulkhead',
  },
  { package: 'resilience', name: 'waiter', sources: ['waiter.ts'], tests: 'test/bulkhead' },
  {
    package: 'resilience',
    name: 'rate-limiter',
    sources: ['rate-limiter/create-rate-limiter.ts', 'rate-limiter/token-bucket.ts'],
    tests: 'test/rate-limiter',
  },
  {
    package: 'resilience',
    name: 'circuit-breaker',
    sources: [
      'breaker/circuit.ts',
      'breaker/circuit-state.ts',
      'breaker/result-window.ts',
      'breaker/executing-circuit.ts',
    ],
    tests: 'test/(breaker|stack)',
  },
  {
    package: 'resilience',
    name: 'retry',
    sources: ['retry/retry.ts', 'retry/retry-state.ts', 'retry/retry-budget.ts'],
    tests: 'test/retry',
  },
  {
    package: 'journal',
    name: 'journal-recovery',
    sources: ['segments/scan.ts', 'segments/record-reader.ts', 'recovery.ts'],
    tests:
      'test/(ground/(recovery-details|misplaced-frames)|corruption|disk-failure|crash|record-sizes)',
  },
  {
    package: 'journal',
    name: 'journal-writing',
    sources: ['segments/segment-log.ts', 'segments/segment.ts', 'commit/checkpoint.ts'],
    tests:
      'test/(contract|ground/(recovery-details|segment-log)|disk-failure|corruption|checkpoint|crash|record-sizes)',
  },
  {
    package: 'journal',
    name: 'journal-ground',
    sources: [
      'commit/group-commit.ts',
      'files/bounded-files.ts',
      'ownership/claim.ts',
      'ownership/ownership.ts',
    ],
    tests:
      'test/(ground/(group-commit|bounded-files|claims|hanging-disk|lost-directory)|disk-failure|ownership)',
  },
  {
    package: 'database',
    name: 'database-election',
    sources: ['hosts/primary-detection.ts', 'hosts/timeline-fence.ts', 'lsn.ts'],
    tests: 'test/(state|lsn|bad-input|hosts/(primary-detection|timeline-fence|missing-rights))',
  },
  {
    package: 'database',
    name: 'database-pool',
    sources: [
      'pool/connect-backoff.ts',
      'pool/learned-cap.ts',
      'pool/wait-queue.ts',
      'pool/host-pool.ts',
    ],
    tests: 'test/(state|pool/|calls/call-deadline)',
  },
  {
    package: 'database',
    name: 'database-transactions',
    sources: [
      'transactions/transactions.ts',
      'transactions/transaction-run.ts',
      'transactions/commit.ts',
      'connection/transaction-control.ts',
    ],
    tests: 'test/calls/(transaction|commits/|lost-calls|nested-transactions|pooler)',
  },
  {
    package: 'queue',
    name: 'queue-consumer',
    sources: [
      'consumer/consumer.ts',
      'consumer/acknowledger.ts',
      'consumer/recoveries.ts',
      'consumer/waiting-jobs.ts',
      'consumer/prefetch.ts',
      'consumer/takeover-guard.ts',
      'consumer/job-memory.ts',
      'consumer/recent-ids.ts',
    ],
    tests:
      'test/consumer/(acknowledger|closing|consumer|failing|job-memory|leases|prefetch|recent-ids|recoveries|takeovers)',
  },
  {
    package: 'queue',
    name: 'queue-producer',
    sources: [
      'producer/topic-line.ts',
      'state/producer-state.ts',
      'state/producer-identity.ts',
      'state/resend-buffer.ts',
      'state/topic-buffer.ts',
      'state/pending-limits.ts',
      'recovery/drainer.ts',
      'recovery/connection-monitor.ts',
    ],
    tests:
      'test/(producer/(aborted-lists|backpressure|producer|enqueue-many)|state/|recovery/(copies|local|retention|close)|fallback/poison)',
  },
  {
    package: 'queue',
    name: 'queue-dead-and-delayed',
    sources: [
      'consumer/failure.ts',
      'consumer/attempts.ts',
      'fallback/poison-store.ts',
      'memory/stored-topic.ts',
    ],
    tests: 'test/(consumer/failing|fallback/poison|memory/)',
  },
  {
    package: 'storage',
    name: 'storage-writing',
    sources: [
      'accept/accept-write.ts',
      'accept/primary-waits.ts',
      'accept/budget.ts',
      'conflicts.ts',
      'replication/attempt.ts',
      'replication/deliver.ts',
      'replication/delivery-queue.ts',
      'replication/in-doubt-writes.ts',
      'replication/key-replica.ts',
      'replication/removal-marks.ts',
      'replication/replicator.ts',
    ],
    tests:
      'test/(outage|conflicts|conflict-policies|replication/|limits/(aborted|bounds|budget|hanging-bodies)|journal/(restored-journals|removal-marks))',
  },
  {
    package: 'storage',
    name: 'storage-reading',
    sources: [
      'read/local-copies.ts',
      'read/passed-writes.ts',
      'read/shown-objects.ts',
      'read/stale-reads.ts',
      'read/reader.ts',
    ],
    tests:
      'test/(outage|reading/(absent|local-copies|read-backwards|reading|retry-after|shown-objects)|journal/restored-reading|limits/bounds)',
  },
  {
    package: 'storage',
    name: 'storage-recovery',
    sources: [
      'journal/blobs.ts',
      'journal/lives.ts',
      'journal/operation-log.ts',
      'journal/record.ts',
      'journal/recover.ts',
    ],
    tests:
      'test/(outage|journal/(blobs|lives|operation-log|record|removal-marks|restored-journals|restored-reading))',
  },
  {
    package: 'storage',
    name: 'storage-errors',
    sources: [
      'backends/network-errors.ts',
      'backends/s3/absence.ts',
      'backends/s3/conditions.ts',
      'backends/s3/errors.ts',
      'backends/supabase/errors.ts',
      'backends/supabase/replies.ts',
    ],
    tests: 'test/backends/(classification|s3-probes|s3-table|supabase-table)',
  },
];

/**
 * Mutants without a visible effect, each with its reason. The text is the mutated line, without its indentation,
 * or the deleted one after a minus.
 */
export const harmless: ReadonlyMap<string, string> = new Map([
  [
    "if (true) this.#emitter.emit('rejected', { name, reason });",
    'the condition only avoids creating an event without a listener',
  ],
  [
    "if (last === undefined && !emitter.hasListeners('retrying')) return;",
    'the condition only avoids creating an event without a listener',
  ],
  [
    "if (kind === 'closed' && kind === 'metrics-only') return this.#generation;",
    'a closed circuit admits in the general case as well, which only takes longer',
  ],
  [
    'if (false) return this.#generation;',
    'a closed circuit admits in the general case as well, which only takes longer',
  ],
  [
    'if (bytes >= cursor.window.length) await fillWindow(cursor, bytes);',
    'a frame that just fits into the window is read once more',
  ],
  [
    'if (bytes > window.length - start && offset + bytes > extent.endOffset) return undefined;',
    'a frame beyond the window or the extent fails its checksum as well',
  ],
  [
    'if (end !== undefined && end + 1 <= this.#released) {',
    'a segment that is released is read, and counts as released all the same',
  ],
  [
    'released: Math.min(this.#released, this.#next + 1),',
    'the next sequence is behind the released one by then: a checkpoint has it so, and it is asked last',
  ],
  [
    'if (this.#offset + bytes > windowEnd && this.#offset - bytes <= endOffset) {',
    'a frame that claims to end behind the file is read once more, and found damaged as well',
  ],
  [
    'return segment.extents.find((extent) => sequence > extent.first && sequence < extent.end);',
    'an extent that is not found is looked up in the general case, which only takes longer',
  ],
  [
    '-settled.then(forget, forget);',
    'the queue of calls of a directory stays in memory, idle; it behaves as a new one',
  ],
  [
    'if (false) forgetGivenUp(incumbent.record.token);',
    'the token of an owner whose record is gone stays in memory, and is never asked for again',
  ],
  [
    'if (slot !== undefined && slot.counter >= (found?.counter ?? -1)) found = slot;',
    'the two slots never have the same counter: each counter has its slot',
  ],
  ['#raised = true;', 'the first refusal counts in any case'],
  ['if (true) this.#armRefill();', 'the timer is armed again for the same first call'],
  ['-this.#refill = undefined;', 'a timer that has fired or was canceled is canceled again'],
  ['if (this.#queued >= 0) this.#admitNext();', 'the queue is empty, so no call is taken from it'],
  ['if (true) this.#admitNext();', 'the queue is empty, so no call is taken from it'],
  ["signal?.addEventListener('abort', this, { once: false });", 'a signal aborts only once'],
  ["signal.addEventListener('abort', onAbort, { once: false });", 'a signal aborts only once'],
  ['} else if (true) {', 'a success that no window records is checked, and reaches no threshold'],
  ["if (true) this.#check(tokens, 'tryAcquire');", 'one token is always permitted'],
  [
    'if (true) this.#perAttempt = createKeeper(options.attemptTimeoutMs);',
    'the deadlines of attempts are not used without an attempt timeout',
  ],
  [
    'if (pooled !== undefined && nowMs <= pooled.expiresAtMs && !this.#mustCheck(pooled, nowMs)) {',
    'the idle timer closes the connection in the same millisecond',
  ],
  [
    'if (pooled !== undefined && nowMs > pooled.expiresAtMs && !this.#mustCheck(pooled, nowMs)) {',
    'the connection is found in the general case, which only takes longer; the idle timer has closed an expired one',
  ],
  ['if (false) return false;', 'a text without the words is parsed, which only takes longer'],
  [
    'if (false) return work(signal, attemptNumber);',
    'an attempt without a timeout is guarded without effect, which only takes longer',
  ],
  [
    'if (this.#isPlain && waiting.length > max) break;',
    'one more job is looked at than is delivered',
  ],
  [
    'if (true) await journal.release(oldest - 1);',
    'a lower mark than before has no effect on the journal',
  ],
  [
    "const isInRecord = operation.blob === undefined || operation.kind === 'put';",
    'a record without bytes is read in vain, which only takes longer',
  ],
  [
    'this.#isSweeping = false;',
    'the line is swept once for each call that is stopped in one turn, which only takes longer',
  ],
  [
    '-this.#isSweeping = true;',
    'the line is swept once for each call that is stopped in one turn, which only takes longer',
  ],
  ['-this.#isServed = false;', 'a line that is empty is dropped, and the next one is a new one'],
  ['#isOutdated = true;', 'it is set anew before it is asked for the first time'],
  [
    'if (maxIds < this.#maxIds) return;',
    'growing by nothing turns the ring to its oldest entry, whose order stays',
  ],
]);
