/** Injects the faults of servers and networks into any Postgres pool, and reports how it behaves. */
export { probes } from './all-probes.ts';
export {
  type OpenPool,
  type ProbedPoolOptions,
  type Probe,
  type ProbeContext,
  type PoolProbeResult,
  type ProbedConnection,
  type ProbedPool,
  type ProbedQuery,
  type ProbedServer,
  type RunProbeOptions,
  type Verdict,
  runProbe,
} from './probe.ts';
export { probeTable } from './probe-table.ts';
