import type { PlantedBug } from './planted-bug.ts';

export const databaseBugs: readonly PlantedBug[] = [
  {
    name: 'a pooler that accepts connections is healthy, though its server is away',
    file: 'packages/database/src/hosts/single-host.ts',
    sound: 'const seenMs = isDenied ? answeredMs : Math.max(repliedMs, foundMs);',
    broken: 'const seenMs = Math.max(repliedMs, foundMs);',
    tests: {
      path: 'packages/database/test/hosts/refused-calls',
      name: 'a pooler that accepts and answers ERROR 58000, called for reads:',
    },
  },
  {
    name: 'a host in use is never asked whether it accepts writes',
    file: 'packages/database/src/hosts/single-host.ts',
    sound: 'if (!isDue && !isSuspect',
    broken: 'if (!isSuspect',
    tests: {
      path: 'packages/database/test/hosts/refused-calls',
      name: 'reads that are served do not put off the probe',
    },
  },
  {
    name: 'of two stores of a file fence at the same time the earlier timeline may be left',
    file: 'packages/database/src/hosts/file-fence.ts',
    sound: 'if (((await load(path)) ?? 0) >= timeline) {',
    broken: 'if (timeline < 0) {',
    tests: {
      path: 'packages/database/test/fence/file-fence',
      name: 'stores at the same time',
    },
  },
  {
    name: 'a password function that fails counts as the outage of its host',
    file: 'packages/database/src/hosts/single-host.ts',
    sound: "if (isUnasked) return 'unknown';",
    broken: '',
    tests: {
      path: 'packages/database/test/connection/connect-callbacks',
      name: 'a password function that throws is told as its own failure',
    },
  },
  {
    name: 'too few values for a statement count as the outage of a pooler',
    file: 'packages/database/src/calls/to-database-error.ts',
    sound: 'const isMismatched = sqlState === PROTOCOL_VIOLATION;',
    broken: 'const isMismatched = false;',
    tests: {
      path: 'packages/database/test/calls/parameter-mismatch',
      name: 'a query with too few values',
    },
  },
  {
    name: 'an idempotent call with an unknown outcome is reported as not applied',
    file: 'packages/database/src/calls/queries.ts',
    sound:
      "kind === 'signal') throw error;\n        throw replayFailedError(lost.failure, lost.host, error);",
    broken: "kind === 'signal') throw error;\n        throw error;",
    tests: {
      path: 'packages/database/test/calls/lost-calls',
      name: 'never reported as not applied',
    },
  },
  {
    name: 'a new primary receives writes before its timeline is stored',
    file: 'packages/database/src/hosts/timeline-fence.ts',
    sound: 'timeline <= this.#stored;',
    broken: 'timeline <= this.#timeline;',
    tests: {
      path: 'packages/database/test/hosts/timeline-fence',
      name: 'once its timeline is stored',
    },
  },
  {
    name: 'a fence that cannot store a timeline lets its primary write',
    file: 'packages/database/src/hosts/timeline-fence.ts',
    sound: "      this.#failure = error;\n      onFailure('store', error);",
    broken: "      this.#stored = timeline;\n      onFailure('store', error);\n      onProgress();",
    tests: {
      path: 'packages/database/test/hosts/timeline-fence',
      name: 'while a store rejects, writes wait',
    },
  },
  {
    name: 'a cursor whose connection is lost waits for a reply for ever',
    file: 'packages/database/src/pg/client-source.ts',
    sound: "client.connection.once('end', () => process.nextTick(answerWhenLost, client));",
    broken: '',
    tests: {
      path: 'packages/database/test/pg/streams',
      name: 'a stream of Kysely fails when Postgres is killed',
    },
  },
  {
    name: 'a released client is lent while its last query runs',
    file: 'packages/database/src/pg/checkouts.ts',
    sound: 'else if (isBusy(client)) void this.#settle(pooled, connection, isPatient);',
    broken: '',
    tests: {
      path: 'packages/database/test/pg/pool',
      name: 'not lent while its last query runs',
    },
  },
  {
    name: 'the URL of a Pool weakens the TLS option',
    file: 'packages/database/src/pg/pool-config.ts',
    sound: "name !== 'sslnegotiation' && !TLS_PARAMETERS.has(name)",
    broken: "name !== 'sslnegotiation' && name !== 'ssl'",
    tests: {
      path: 'packages/database/test/connection/tls-trust',
      name: 'a Pool with a URL sends no password to a server of another authority',
    },
  },
  {
    name: 'the TLS of a host’s URL wins over the option',
    file: 'packages/database/src/connection/connect-pg.ts',
    sound: 'ssl: ssl ?? tls?.(),',
    broken: 'ssl: tls?.() ?? ssl,',
    tests: {
      path: 'packages/database/test/connection/tls-trust',
      name: 'createDatabase with a host sends no password',
    },
  },
  {
    name: 'a failed hook of one new client fails everyone who waits',
    file: 'packages/database/src/pool/host-pool.ts',
    sound: 'this.#waiters.shift()?.reject(connectRefused(error, this.snapshot()))',
    broken: 'this.#waiters.rejectAll(() => connectRefused(error, this.snapshot()))',
    tests: {
      path: 'packages/database/test/pg/pool-config',
      name: 'is the error of one caller',
    },
  },
  {
    name: 'a read is served by a server that has not replayed its token, as another of the same name has',
    file: 'packages/database/src/calls/fresh-exchange.ts',
    sound: 'settled.slice(at - before.length, at));\n  if (!link.meets(requirement))',
    broken: 'settled.slice(at - before.length, at));\n  if (requirement.kind === undefined)',
    tests: {
      path: 'packages/database/test/hosts/shared-name',
      name: 'never misses its own write',
    },
  },
  {
    name: 'a statement whose answer a parser rejects is called not applied',
    file: 'packages/database/src/calls/to-database-error.ts',
    sound: "outcome: 'applied',",
    broken: "outcome: 'not-applied' as const,",
    tests: {
      path: 'packages/database/test/calls/unparsed-answers',
      name: 'leaves the statement of a query applied',
    },
  },
  {
    name: 'an error in reply to COMMIT is always believed to be a rollback',
    file: 'packages/database/src/transactions/commit.ts',
    sound: "if (sent && (kind === 'lost' || leavesCommitUnknown(cause))) {",
    broken: "if (sent && kind === 'lost') {",
    tests: {
      path: 'packages/database/test/calls/commits/commit-states',
      name: 'in reply to COMMIT: its outcome is unknown',
    },
  },
  {
    name: 'connections that are dead in silence are found one after the other',
    file: 'packages/database/src/pool/host-pool.ts',
    sound: 'if (!answered) this.#suspectIdle();',
    broken: '',
    tests: {
      path: 'packages/database/test/pool/silent-connections',
      name: 'within two checks',
    },
  },
  {
    name: 'a pooler without its server is believed to be a second loss',
    file: 'packages/database/src/calls/queries.ts',
    sound: 'first === undefined || isReported || pooled.createdAtMs',
    broken: 'first === undefined || pooled.createdAtMs',
    tests: {
      path: 'packages/database/test/calls/pooler',
      name: 'is held, and served when it is back',
    },
  },
  {
    name: 'a former primary serves a read after a position of a later timeline',
    file: 'packages/database/src/reads/reads.ts',
    sound: 'wanted = onPrimary(freshness);',
    broken: "wanted = { kind: 'strong' };",
    tests: { path: 'packages/database/test/hosts/cluster', name: 'of a later timeline' },
  },
  {
    name: 'a session writes to a former primary, in a transaction',
    file: 'packages/database/src/transactions/transaction-run.ts',
    sound: 'await checkWritable(this.#pooled, this.#requirement, this.#deadline);',
    broken: '',
    tests: {
      path: 'packages/database/test/hosts/session-timeline',
      name: 'refuses a transaction on a former primary',
    },
  },
  {
    name: 'a failed call makes a session forget the timeline it has seen',
    file: 'packages/database/src/reads/read-session.ts',
    sound: 'this.#setToken(laterOf(this.#token, UNKNOWN_LSN));',
    broken: 'this.#setToken(UNKNOWN_LSN);',
    tests: {
      path: 'packages/database/test/hosts/session-timeline',
      name: 'does not make a session forget the timeline',
    },
  },
  {
    name: 'a read does not notice that a promotion lost what its token stands for',
    file: 'packages/database/src/lsn.ts',
    sound: 'token.timeline < timeline && began < end;',
    broken: 'token.timeline < timeline && began < 0n;',
    tests: {
      path: 'packages/database/test/hosts/lost-token',
      name: 'rejects where the promotion lost the position of the token',
    },
  },
  {
    name: 'a session does not take the token of its transaction',
    file: 'packages/database/src/reads/read-session.ts',
    sound: 'this.#advance(result.token, doubts);',
    broken: '',
    tests: {
      path: 'packages/database/test/hosts/session-timeline',
      name: 'after a transaction the token of a session is that of the commit',
    },
  },
  {
    name: 'one lost connection among others is called an outage',
    file: 'packages/database/src/hosts/single-host.ts',
    sound: 'isDoubted: (isDenied || !hasConnections) && isSince(lostMs),',
    broken: 'isDoubted: isSince(lostMs),',
    tests: {
      path: 'packages/database/test/hosts/single-host-health',
      name: 'one lost connection of 3',
    },
  },
  {
    name: 'after the deadline of close statements run on at the server',
    file: 'packages/database/src/pool/host-pool.ts',
    sound: "if (pooled.state !== 'idle') await pooled.cancelRunning();",
    broken: '',
    tests: {
      path: 'packages/database/test/calls/closing',
      name: 'a query is cancelled on the server',
    },
  },
  {
    name: 'a primary on its last timeline is believed before all hosts were asked again',
    file: 'packages/database/src/hosts/primary-detection.ts',
    sound: 'timelineOf(best) > lastTimeline && lastTimeline > 0',
    broken: 'timelineOf(best) >= lastTimeline && lastTimeline > 0',
    tests: {
      path: 'packages/database/test/hosts/primary-detection',
      name: 'of two alike before all were asked again',
    },
  },
  {
    name: 'an attempt that ends at the connect timeout leaves its connection at the server',
    file: 'packages/database/src/connection/connect-pg.ts',
    sound: 'connection.onLost = undefined;\n      connection.destroy();',
    broken: 'connection.onLost = undefined;',
    tests: {
      path: 'packages/database/test/connection/start-up',
      name: 'leave no connection at a server',
    },
  },
  {
    name: 'a transaction runs once less than maxRetries permits',
    file: 'packages/database/src/transactions/transactions.ts',
    sound: 'attempt > options.maxRetries',
    broken: 'attempt >= options.maxRetries',
    tests: { path: 'packages/database/test/calls/transaction.test', name: 'with maxRetries' },
  },
  {
    name: 'while the primary is known the hosts are probed as often as while it is not',
    file: 'packages/database/src/hosts/cluster.ts',
    sound: 'if (this.#primary !== undefined) return probeIntervalMs;',
    broken: '',
    tests: {
      path: 'packages/database/test/hosts/probe-intervals',
      name: 'while the primary is known each host is probed once',
    },
  },
  {
    name: 'nested transactions of one transaction run beside each other',
    file: 'packages/database/src/transactions/open-transaction.ts',
    sound: 'return this.#queue(this.#nest(work, this.#pending));',
    broken: 'return this.#nest(work, undefined);',
    tests: {
      path: 'packages/database/test/calls/nested-transactions',
      name: 'takes nothing of the one beside it',
    },
  },
  {
    name: 'the callback of a nested transaction waits for ever for a query of the outer one',
    file: 'packages/database/src/transactions/open-transaction.ts',
    sound: "this.#checkOutside('tx.query');",
    broken: '',
    tests: {
      path: 'packages/database/test/calls/nested-transactions',
      name: 'query of an outer handle in a nested callback is refused',
    },
  },
  {
    name: 'a statement that has committed a part is sent again after 25006',
    file: 'packages/database/src/calls/queries.ts',
    sound: 'if (refused === undefined || idempotent) {',
    broken: 'if (error instanceof ConnectionFailure) {',
    tests: {
      path: 'packages/database/test/calls/partly-committed',
      name: 'is not sent again: it may have committed',
    },
  },
  {
    name: 'what was committed before an error is called not applied',
    file: 'packages/database/src/connection/transaction-control.ts',
    sound: 'if (hasCommitted(commands)) return true;',
    broken: '',
    tests: {
      path: 'packages/database/test/calls/partly-committed',
      name: 'may have committed before its error: unknown',
    },
  },
  {
    name: 'a procedure that commits inside is called not applied when it fails',
    file: 'packages/database/src/connection/transaction-control.ts',
    sound: '.some((part) => COMMITS_INSIDE.test(part))',
    broken: '.some((part) => ATOMIC_BODY.test(part))',
    tests: {
      path: 'packages/database/test/calls/partly-committed',
      name: 'may have committed before its error: unknown',
    },
  },
  {
    name: 'a batch that left a transaction open calls its statements done',
    file: 'packages/database/src/calls/batch-transactions.ts',
    sound: "if (transaction.fate === 'open' || part === 'worked') return true;",
    broken: "if (transaction.fate === 'failed' && part === 'worked') return true;",
    tests: {
      path: 'packages/database/test/calls/partly-committed',
      name: 'tells the result of each',
    },
  },
  {
    name: 'a chained transaction of a batch counts as the one before it',
    file: 'packages/database/src/calls/batch-transactions.ts',
    sound: '    this.#open = undefined;\n    this.#hasFailed = false;\n',
    broken: '',
    tests: {
      path: 'packages/database/test/calls/partly-committed',
      name: 'tells the result of each',
    },
  },
  {
    name: 'a query that the server leaves unanswered keeps its place in the pool',
    file: 'packages/database/src/pg/checkouts.ts',
    sound: 'if (limitMs === undefined) await ended;',
    broken: 'if (isAwaited || limitMs === undefined) await ended;',
    tests: { path: 'packages/database/test/pg/silent-servers', name: 'a query of a client, which' },
  },
  {
    name: 'a cursor that failed between two reads ends as if it were complete',
    file: 'packages/database/src/pg/client-source.ts',
    sound: 'keepErrorsOfCursors(client);',
    broken: '',
    tests: { path: 'packages/database/test/pg/stream-timeouts', name: 'after query_timeout' },
  },
];
