/** Breaks any Postgres pool in the ways that servers and networks do, and says what came of it. */
export { probes } from './all-probes.ts';
export {
  type OpenPool,
  type ProbedPoolOptions,
  type Probe,
  type ProbeContext,
  type ProbeRow,
  type ProbedConnection,
  type ProbedPool,
  type ProbedQuery,
  type ProbedServer,
  type RunProbeOptions,
  type Verdict,
  runProbe,
} from './probe.ts';
export { probeTable } from './probe-table.ts';
