import type { PlantedBug } from '../planted-bug.ts';

const ROUTES = 'packages/network/src/routes';
const SUITE = 'packages/suites/test/network-failures';
const TESTS = 'packages/network/test/routes';

export const networkRoutesBugs: readonly PlantedBug[] = [
  {
    name: 'the last node that answers is ejected too',
    file: `${ROUTES}/pool/node-pool.ts`,
    sound: 'if (node.isUsable && !this.#hasOther(node)) {',
    broken: 'if (false) {',
    tests: { path: `${TESTS}/ejection`, name: 'the last one is never ejected' },
  },
  {
    name: 'an ejected node returns when its time is over, without an answer',
    file: `${ROUTES}/nodes/node-state.ts`,
    sound: "return state.kind === 'ejected' ? { kind: 'probing' } : state;",
    broken: "return state.kind === 'ejected' ? healthyState : state;",
    tests: { path: `${TESTS}/ejection`, name: 'never by time alone' },
  },
  {
    name: 'a quick refusal makes a node look fast',
    file: `${ROUTES}/nodes/balanced-node.ts`,
    sound: 'Math.max(latencyMs, this.#latencyMs, typicalMs) * FAILURE_FACTOR',
    broken: 'latencyMs',
    tests: { path: `${TESTS}/ejection`, name: 'not taken for a fast one' },
  },
  {
    name: 'a call that may have been sent is sent to a second node',
    file: `${ROUTES}/run-call.ts`,
    sound: 'isForAnother(outcome, end) && (idempotent || isNotSent(error))',
    broken: 'isForAnother(outcome, end)',
    tests: { path: `${TESTS}/run`, name: 'reaches one node only' },
  },
  {
    name: 'the keys of an ejected node all go to one other node',
    file: `${ROUTES}/picking/hash-ring.ts`,
    sound: 'slot = slot + 1 < SLOTS ? slot + 1 : 0;',
    broken: 'slot = (table[slot] ?? 0) + 1;',
    tests: { path: `${TESTS}/hashing`, name: 'to many others' },
  },
  {
    name: 'a part with another ETag is joined',
    file: `${ROUTES}/gateways/transfer.ts`,
    sound: 'strongEtag(response) === this.#etag',
    broken: 'response.status === 206',
    tests: { path: `${TESTS}/gateways`, name: 'a part with another ETag' },
  },
  {
    name: 'gateways may have private addresses',
    file: `${ROUTES}/gateways/gateways-options.ts`,
    sound: '...(allowPrivate !== undefined && { allowPrivate }),',
    broken: 'allowPrivate: true,',
    tests: { path: `${SUITE}/gateways`, name: 'a private address is refused by default' },
  },
  {
    name: 'a path leaves the URL of its gateway',
    file: `${ROUTES}/gateways/gateways-options.ts`,
    sound: "if (typeof path !== 'string' || !isContentPath(path)) {",
    broken: "if (typeof path !== 'string' || !path.startsWith('/')) {",
    tests: { path: `${TESTS}/gateway-paths`, name: 'which leaves the URL of a gateway' },
  },
  {
    name: 'gateways whose circuits are all open are not asked, though they are back',
    file: `${ROUTES}/gateways/gateway.ts`,
    sound: 'if (!isLast || startedMs < this.#nextProbeMs) {',
    broken: 'if (!isLast || startedMs >= 0) {',
    tests: { path: `${TESTS}/gateway-circuits`, name: 'all gateways fail, then one returns' },
  },
];
