/** A possible mistake, and the tests that have to detect it. */
export interface PlantedBug {
  readonly name: string;
  /** Path from the repository's root. */
  readonly file: string;
  /** The correct code, which occurs exactly once in the file. */
  readonly sound: string;
  readonly broken: string;
  /** Patterns for the path and the name of the tests that have to fail. */
  readonly tests: { readonly path: string; readonly name: string };
}

const OUTAGES = 'redis-failover/server/outages';
const NEXT_OWNER = { path: 'packages/queue/test/recovery/ownership', name: 'previous owner' };
const ENQUEUE_MODEL = {
  path: 'packages/queue/test/model/enqueue-model',
  name: 'with acknowledge redis',
};
const MODEL = { path: 'packages/queue/test/model/dispatch-model', name: '' };

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'the drain skips the first record of a window',
    file: 'packages/queue/src/recovery/drainer.ts',
    sound: 'const { jobs, through } = await backlog.window();',
    broken: 'const { jobs: [, ...jobs], through } = await backlog.window();',
    tests: { path: OUTAGES, name: 'killed under load' },
  },
  {
    name: 'the drain releases a window before Redis has accepted it',
    file: 'packages/queue/src/recovery/drainer.ts',
    sound: 'for (const publication of this.#publicationsOf(jobs)) {\n      const { jobs: published',
    broken:
      'await backlog.accepted(through);\n    for (const publication of this.#publicationsOf(jobs)) {\n      const { jobs: published',
    tests: MODEL,
  },
  {
    name: 'the journal releases records as soon as Redis has accepted them',
    file: 'packages/queue/src/fallback/backlog.ts',
    sound: 'if (retainMs === 0) return journal.release(through);',
    broken: 'if (retainMs >= 0) return journal.release(through);',
    tests: NEXT_OWNER,
  },
  {
    name: 'jobs that an earlier owner had drained are not sent again',
    file: 'packages/queue/src/recovery/drainer.ts',
    sound:
      'for (const publication of this.#publicationsOf(jobs)) await this.#publish(publication);',
    broken: 'for (const publication of this.#publicationsOf(jobs)) void publication;',
    tests: NEXT_OWNER,
  },
  {
    name: 'a resent job is applied again',
    file: 'packages/queue/src/redis/scripts/topic-scripts.ts',
    sound: 'if passed or mine <= sequence then',
    broken: 'if passed then',
    tests: { path: 'redis-failover/jobs/contract', name: 'sent again adds only what is new' },
  },
  {
    name: 'a failed batch is placed behind the jobs that waited for it',
    file: 'packages/queue/src/state/topic-buffer.ts',
    sound: '[...this.#waiting, ...batch].toSorted(bySequence)',
    broken: '[...this.#waiting, ...batch]',
    tests: { path: 'packages/queue/test/producer/producer.test', name: 'waited behind' },
  },
  {
    name: 'commands have no deadline',
    file: 'packages/queue/src/redis/client-connection.ts',
    sound: 'this.#clock.schedule(limitMs,',
    broken: 'this.#clock.schedule(limitMs * 1_000,',
    tests: { path: OUTAGES, name: 'frozen' },
  },
  {
    name: 'the queue returns to Redis while appends to the journal are pending',
    file: 'packages/queue/src/recovery/connection-monitor.ts',
    sound: 'if (pendingAppends.size > 0) await',
    broken: 'if (pendingAppends.size < 0) await',
    tests: MODEL,
  },
  {
    name: 'attempts to reconnect are not spaced',
    file: 'packages/queue/src/redis/connection/managed-connection.ts',
    sound: 'await sleep(clock, delayMs, signal)',
    broken: 'await sleep(clock, 1, signal)',
    tests: { path: 'redis-failover/server/reconnecting', name: 'exponential backoff' },
  },
  {
    name: 'jobs that Redis lost are not reported',
    file: 'packages/queue/src/state/producer-state.ts',
    sound: 'if (jobs <= 0) return [];',
    broken: 'if (jobs <= Number.MAX_VALUE) return [];',
    tests: { path: 'redis-failover/jobs/forgetting', name: '' },
  },
  {
    name: 'jobs that Redis lost are reported, but not sent again',
    file: 'packages/queue/src/state/producer-state.ts',
    sound: 'return inBatches(again).map(',
    broken: 'return inBatches([]).map(',
    tests: MODEL,
  },
  {
    name: 'the sequence mark is raised past jobs that may have to be sent again',
    file: 'packages/queue/src/state/producer-state.ts',
    sound: 'const floor = oldest === undefined ? confirmedSequence : oldest - 1;',
    broken:
      'const floor = oldest === undefined ? confirmedSequence : Math.max(confirmedSequence, oldest - 1);',
    tests: ENQUEUE_MODEL,
  },
  {
    name: "an earlier owner's jobs are drained together with newer ones",
    file: 'packages/queue/src/fallback/backlog.ts',
    sound: 'return this.#read(from, this.#inheritedUntil);',
    broken: 'return this.#read(from, this.#deps.journal.next);',
    tests: { path: 'packages/queue/test/model/enqueue-model', name: 'loses during their drain' },
  },
  {
    name: 'jobs may overtake those that Redis has lost',
    file: 'packages/queue/src/redis/scripts/topic-scripts.ts',
    sound: 'if not passed and sequence < tonumber(ARGV[4]) then',
    broken: 'if false then',
    tests: { path: 'redis-failover/jobs/contract', name: 'has lost are rejected' },
  },
  {
    name: 'a job that Redis delivers again is run again',
    file: 'packages/queue/src/consumer/consumer.ts',
    sound: 'if (wasConfirmed || this.#isKnown(delivery)) {',
    broken: 'if (delivery.handle === "") {',
    tests: { path: 'packages/queue/test/consumer/consumer', name: 'the server has lost does' },
  },
  {
    name: 'new jobs are fetched before all interrupted deliveries',
    file: 'packages/queue/src/consumer/consumer.ts',
    sound: 'if (isComplete) this.#lastRecoveryMs',
    broken: 'if (isComplete || wanted > 0) this.#lastRecoveryMs',
    tests: {
      path: 'packages/queue/test/consumer/consumer',
      name: 'delivered on a lost connection',
    },
  },
  {
    name: 'an abandoned connection may still fetch jobs',
    file: 'packages/queue/src/redis/connection/client-id.ts',
    sound: 'if (former.server !== present.server) return;',
    broken: 'if (former.server !== present.connection.toString()) return;',
    tests: { path: 'redis-failover/jobs/consumers', name: 'given up takes nothing' },
  },
  {
    name: 'the next owner of a journal skips the jobs of the previous one',
    file: 'packages/queue/src/recovery/connection-monitor.ts',
    sound: "while (machine.state !== 'direct') {",
    broken:
      "if (machine.state === 'opening') machine.dispatch({ kind: 'backlog-drained' });\n    while (machine.state !== 'direct') {",
    tests: { path: 'redis-failover/jobs/producers', name: 'crashed producer' },
  },
  {
    name: 'every job has the same sequence number',
    file: 'packages/queue/src/producer/producer.ts',
    sound: 'sequence: buffer.nextSequence()',
    broken: 'sequence: 1',
    tests: { path: OUTAGES, name: 'killed under load' },
  },
  {
    name: 'a replica is accepted as the primary',
    file: 'packages/queue/src/redis/resolver/sentinel-resolver.ts',
    sound: "if (role === 'master') return;",
    broken: "if (role !== '') return;",
    tests: { path: 'packages/queue/test/redis/resolvers', name: 'demoted' },
  },
  {
    name: 'one Sentinel alone decides',
    file: 'packages/queue/src/redis/resolver/one-off-command.ts',
    sound: 'most[1] > answers.length / 2',
    broken: 'most[1] > 0',
    tests: { path: 'packages/queue/test/redis/resolvers', name: 'more than half' },
  },
  {
    name: 'a job is acknowledged before its replicas have it',
    file: 'packages/queue/src/redis/backend.ts',
    sound: "if (acknowledge !== 'replicated') return;",
    broken: "if (acknowledge !== 'local') return;",
    tests: { path: 'redis-failover/jobs/acknowledging', name: 'replica is missing' },
  },
  {
    name: 'an effect is committed without its entry in the ledger',
    file: 'packages/queue/src/ledger/postgres-ledger.ts',
    sound: 'if (rowCount === 0) {',
    broken: 'if (rowCount === -1) {',
    tests: { path: 'packages/queue/test/consumer/ledger', name: 'whose entry exists' },
  },
  {
    name: 'a redriven job loses the reason of its failure',
    file: 'packages/queue/src/redis/scripts/topic-scripts.ts',
    sound: 'history[#history + 1] = of.reason',
    broken: 'history = {of.reason}',
    tests: { path: 'redis-failover/jobs/contract', name: 'dead letters are listed' },
  },
  {
    name: 'a full topic still accepts jobs',
    file: 'packages/queue/src/redis/scripts/topic-scripts.ts',
    sound: 'elseif most > 0 and room <= 0 then',
    broken: 'elseif false then',
    tests: { path: 'redis-failover/jobs/contract', name: 'as many jobs as maxJobs' },
  },
  {
    name: 'an idempotent call with an unknown outcome is reported as not applied',
    file: 'packages/database/src/calls/queries.ts',
    sound: 'throw replayFailedError(lost.failure, lost.host, error);',
    broken: 'throw error;',
    tests: {
      path: 'packages/database/test/calls/lost-calls',
      name: 'never reported as not applied',
    },
  },
  {
    name: 'a new primary receives writes before its timeline is stored',
    file: 'packages/database/src/hosts/timeline-fence.ts',
    sound: 'timeline <= this.#attempted',
    broken: 'timeline <= this.#timeline',
    tests: {
      path: 'packages/database/test/hosts/timeline-fence',
      name: 'once its timeline is stored',
    },
  },
  {
    name: 'the job after a poison job is skipped',
    file: 'packages/queue/src/publish.ts',
    sound: 'left = left.slice(at + 1);',
    broken: 'left = left.slice(at + 2);',
    tests: { path: 'packages/queue/test/fallback/poison', name: '' },
  },
  {
    name: 'a partition delivers its next job while one is being handled',
    file: 'packages/queue/src/redis/scripts/subqueue-scripts.ts',
    sound: '[1] == 0 then take(subqueue, 1)',
    broken: '[1] >= 0 then take(subqueue, 1)',
    tests: { path: 'redis-failover/jobs/contract.test', name: 'a partition delivers one job' },
  },
  {
    name: 'a repair restores an object that was removed while it was read',
    file: 'packages/storage/src/create-storage.ts',
    sound: 'this.#readEpochs.invalidate(operation.key);',
    broken: 'if (isRepair) this.#readEpochs.invalidate(operation.key);',
    tests: { path: 'packages/storage/test/reading', name: 'not restored by their repair' },
  },
  {
    name: 'the next process ignores a write that may still be applied',
    file: 'packages/storage/src/replication/replicator.ts',
    sound:
      'if (mayStillApply(writes, operation, this.#deps.clock.now())) writes.inDoubt.push(operation);',
    broken: 'if (writes.inDoubt.length > 100) writes.inDoubt.push(operation);',
    tests: { path: 'packages/storage/test/next-process', name: 'applied late' },
  },
];
