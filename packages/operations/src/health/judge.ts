/** What the states of the components mean for the process: pure functions, from what is known to what is told. */
import type {
  ComponentReport,
  HealthPhase,
  HealthReport,
  HealthStatus,
  ProbeAnswer,
  ProbeName,
} from './health.ts';

/** A report: one critical component that fails here alone is enough to fail. */
export function judge(components: readonly ComponentReport[]): HealthReport {
  let status: HealthStatus = 'pass';
  for (const component of components) {
    if (makesUnready(component)) return { status: 'fail', components };
    if (component.status !== 'pass') status = 'warn';
  }
  return { status, components };
}

/** What fails for the whole fleet degrades: an unready fleet serves nobody, and no instance can do better. */
function makesUnready({ status, critical, isFleetWide }: ComponentReport): boolean {
  return status === 'fail' && critical && !isFleetWide;
}

/** What a probe is answered from. */
interface ProbeFacts {
  readonly name: string;
  readonly version: string | undefined;
  readonly details: 'none' | 'names' | 'full';
  readonly phase: HealthPhase;
  readonly report: HealthReport;
}

const OK = 200;
const UNAVAILABLE = 503;
const headers = {
  'content-type': 'application/health+json; charset=utf-8',
  'cache-control': 'no-store',
};

/**
 * The answer of a probe. Liveness says only that this process turns: a dependency that is down is no reason to restart
 * it. `health` is for people: it fails as readiness does, and tells of each component.
 */
export function answerOf(probe: ProbeName, facts: ProbeFacts): ProbeAnswer {
  const { phase, report } = facts;
  const status = statusOf(probe, facts);
  const { name, version } = facts;
  const body: Record<string, unknown> = { status, serviceId: name };
  if (version !== undefined) body['version'] = version;
  if (probe === 'ready' || probe === 'health') body['phase'] = phase;
  if (facts.details !== 'none' && probe !== 'live' && probe !== 'startup') {
    body['checks'] = Object.fromEntries(
      report.components.map((component) => [component.name, [detailOf(component, facts)]]),
    );
  }
  const statusCode = status === 'fail' ? UNAVAILABLE : OK;
  return { statusCode, headers, body: JSON.stringify(body) };
}

function statusOf(probe: ProbeName, { phase, report }: ProbeFacts): HealthStatus {
  if (probe === 'live') return 'pass';
  if (probe === 'startup') return phase === 'starting' ? 'fail' : 'pass';
  return phase === 'serving' ? report.status : 'fail';
}

function detailOf(component: ComponentReport, { details }: ProbeFacts): object {
  const { status, group, critical, isFleetWide, reason, checkedAtEpochMs, durationMs } = component;
  return {
    status,
    componentType: group,
    critical,
    ...(isFleetWide ? { fleetWide: true } : {}),
    ...(checkedAtEpochMs === undefined ? {} : { time: new Date(checkedAtEpochMs).toISOString() }),
    ...(durationMs === undefined ? {} : { observedValue: durationMs, observedUnit: 'ms' }),
    ...(details === 'full' && reason !== undefined ? { output: reason } : {}),
  };
}
