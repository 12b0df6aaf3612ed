/**
 * Picks of a balancer in one process: CPU time by strategy and number of nodes, with ejected nodes, beside the `get` of
 * hashring, which knows no ejection. Exits with 1 when a pick at 1,000 nodes is over its bar, or least connections grow
 * with the nodes.
 */
import HashRing from 'hashring';
import { type RouteLease, createBalancer } from '@holdfast/network';
import { type Contender, inTurns } from './measuring/rounds.ts';

const ROUNDS = 9;
const PICKS = 20_000;
/** So few that most slices are not interrupted, after which the caches of the processor are those of another process. */
const SLICE = 1_000;
const BAR_NS = 120;
/** On a slower or busier machine the bar is this part of what the peer takes there. */
const PEER_FACTOR = 25;

/** Few enough to be in the caches as the key of a call is, enough to load the nodes evenly. */
const keys = Array.from({ length: 4_000 }, (_, at) => `user:${at}`);

type Strategy = 'consistent-hash' | 'least-connections' | 'power-of-two' | 'round-robin';

/** CPU nanoseconds of one pick, with a tenth of the nodes ejected; the calls end outside of the measurement. */
function picking(strategy: Strategy, count: number): Contender<number> {
  const nodes = Array.from({ length: count }, (_, at) => ({ id: `node-${at}` }));
  const balancer = createBalancer({
    nodes,
    strategy,
    outlier: { ejectionMs: 3_600_000, maxEjectionMs: 3_600_000 },
  });
  const ids = nodes.map(({ id }) => id);
  for (let at = 0; at < Math.floor(count / 10); at += 1) {
    const exclude = ids.filter((id) => id !== ids[at]);
    for (let call = 0; call < 5; call += 1) balancer.pick({ exclude }).settle('failure');
  }
  const options = keys.map((key) => (strategy === 'consistent-hash' ? { key } : {}));
  return {
    name: `${strategy}, ${count}`,
    async round() {
      const leases: RouteLease[] = [];
      const slices: number[] = [];
      for (let pick = 0; pick < PICKS;) {
        const before = process.cpuUsage();
        for (const end = pick + SLICE; pick < end; pick += 1) {
          leases.push(balancer.pick(options[pick % options.length]));
        }
        const { user, system } = process.cpuUsage(before);
        slices.push(((user + system) * 1_000) / SLICE);
      }
      for (const lease of leases) lease.settle('success', 5);
      return lowerQuartile(slices);
    },
  };
}

function lowerQuartile(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 4)] ?? NaN;
}

/** The same keys; its cache of whole answers, which is asked before its ring, is kept too small for them. */
function hashing(count: number): Contender<number> {
  const ids = Array.from({ length: count }, (_, at) => `node-${at}`);
  const some = keys.slice(0, 1_000);
  const ring = new HashRing(ids, 'md5', { 'max cache size': 1 });
  return {
    name: `hashring, ${count}`,
    async round() {
      const before = process.cpuUsage();
      for (const key of some) ring.get(key);
      const { user, system } = process.cpuUsage(before);
      return ((user + system) * 1_000) / some.length;
    },
  };
}

const sizes = [3, 32, 100, 1_000];
const strategies = ['consistent-hash', 'least-connections', 'power-of-two', 'round-robin'] as const;
const contenders = [
  ...strategies.flatMap((strategy) => sizes.map((count) => picking(strategy, count))),
  ...sizes.map(hashing),
];
const finished = await inTurns(contenders, ROUNDS);
/** The quickest round: other processes only ever add to it. */
const best = new Map(
  contenders.map(({ name }) => [
    name,
    Math.min(...finished.map((round) => round.get(name) ?? Infinity)),
  ]),
);
const nsOf = (strategy: Strategy | 'hashring', count: number): number =>
  best.get(`${strategy}, ${count}`) ?? 0;
process.stdout.write(
  `| CPU ns of a pick | ${sizes.join(' | ')} nodes |\n|---|---:|---:|---:|---:|\n`,
);
for (const strategy of [...strategies, 'hashring'] as const) {
  const cells = sizes.map((count) => Math.round(nsOf(strategy, count)));
  process.stdout.write(`| ${strategy} | ${cells.join(' | ')} |\n`);
}
const barNs = Math.max(BAR_NS, nsOf('hashring', 1_000) / PEER_FACTOR);
const isOver = strategies.some((strategy) => nsOf(strategy, 1_000) > barNs);
const grows = nsOf('least-connections', 1_000) > 3 * nsOf('least-connections', 3);
if (isOver || grows) {
  process.stderr.write(`over the bar of ${Math.round(barNs)} ns\n`);
  process.exitCode = 1;
}
