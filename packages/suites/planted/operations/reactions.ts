import type { PlantedBug } from '../planted-bug.ts';

const ALERTS = 'packages/operations/test/alerts';
const FAILOVER = 'packages/operations/test/failover/partitions';

export const operationsReactionBugs: readonly PlantedBug[] = [
  {
    name: 'an alert escalates at once',
    file: 'packages/operations/src/alerts/decide.ts',
    sound: 'const dueMs = incident.stepMs + escalation.ackTimeoutMs;',
    broken: 'const dueMs = incident.stepMs;',
    tests: { path: `${ALERTS}/escalation`, name: 'before the acknowledgement is late' },
  },
  {
    name: 'a restarted alert manager does not know what was delivered',
    file: 'packages/operations/src/alerts/deliveries.ts',
    sound: "this.#deps.record({ kind: 'delivered', atMs: this.#deps.now(), id, channel });",
    broken: '',
    tests: { path: `${ALERTS}/restart`, name: 'neither repeats nor loses' },
  },
  {
    name: 'a compacted log of alerts forgets what fires',
    file: 'packages/operations/src/alerts/notification-log.ts',
    sound: "for (const alert of state.alerts.values()) items.push(['alert', alert]);",
    broken: '',
    tests: { path: `${ALERTS}/restart`, name: 'a compacted log' },
  },
  {
    name: 'an action of healing is believed instead of its signal',
    file: 'packages/operations/src/healing/healer.ts',
    sound: "phase: 'verifying', untilMs, reports: []",
    broken: "phase: 'idle', untilMs, reports: [], attempts: 0",
    tests: { path: 'packages/operations/test/healing/healer', name: 'verified by the signal' },
  },
  {
    name: 'a condition of the whole fleet restarts all of it',
    file: 'packages/operations/src/healing/healer.ts',
    sound: 'const isFleetWide = ill.length > least;',
    broken: 'const isFleetWide = ill.length > Infinity;',
    tests: { path: 'packages/operations/test/healing/healer', name: 'a condition of many' },
  },
  {
    name: 'a primary that cannot be fenced is replaced at once',
    file: 'packages/operations/src/failover/manager.ts',
    sound: "if (!isFenced && !isOver) return 'waiting-for-route-to-expire';",
    broken: '',
    tests: { path: FAILOVER, name: 'no acknowledged write is lost' },
  },
  {
    name: 'a failover chooses the furthest of too few replicas',
    file: 'packages/operations/src/failover/decide.ts',
    sound: 'answering < limits.minReplicas',
    broken: 'answering < 1',
    tests: { path: FAILOVER, name: 'no acknowledged write is lost' },
  },
  {
    name: 'a missing metric scales down',
    file: 'packages/operations/src/scaling/recommend.ts',
    sound: 'isMissing ? Math.max(current, wanted.replicas) : wanted.replicas',
    broken: 'wanted.replicas',
    tests: { path: 'packages/operations/test/scaling/recommend', name: 'a missing metric never' },
  },
];
