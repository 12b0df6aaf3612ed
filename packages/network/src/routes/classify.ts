import { describeThrown, describeValue, errorChain, propertyOf } from '@holdfast/foundation';
import { type ErrorKind, classifyError, classifyStatus } from '@holdfast/resilience';
import { unconnectedCodes } from '../unconnected-codes.ts';
import type { CallEnd, NodeOutcome } from './balancer.ts';

/** The default of {@link BalancerOptions.classify}. */
export function outcomeOf(end: CallEnd): NodeOutcome {
  return end.kind === 'returned' ? outcomeOfValue(end.value) : outcomeOfError(end.error);
}

function outcomeOfValue(value: unknown): NodeOutcome {
  const status = propertyOf(value, 'status') ?? propertyOf(value, 'statusCode');
  if (typeof status !== 'number') return 'success';
  const kind = classifyStatus(status);
  if (kind === 'rate_limited') return 'neutral';
  return kind === undefined || kind === 'client_error' || kind === 'conflict'
    ? 'success'
    : 'failure';
}

function outcomeOfError(error: unknown): NodeOutcome {
  const kind = classifyError(error);
  if (neutralKinds.has(kind)) return 'neutral';
  return kind === 'client_error' || kind === 'conflict' ? 'success' : 'failure';
}

/** Refused or ended on this side, or an answer that says to wait. */
const neutralKinds: ReadonlySet<ErrorKind> = new Set([
  'refused',
  'aborted',
  'rate_limited',
  'resource_exhausted',
  'programming_error',
]);

/**
 * Whether the node sent the call away, which says nothing of its health and nothing of the other nodes: an answer 429, or a
 * refusal before anything was sent, such as that of an open circuit.
 */
export function isTurnedAway(end: CallEnd): boolean {
  if (end.kind === 'returned') {
    const status = propertyOf(end.value, 'status') ?? propertyOf(end.value, 'statusCode');
    return typeof status === 'number' && classifyStatus(status) === 'rate_limited';
  }
  const kind = classifyError(end.error);
  return kind === 'rate_limited' || (kind === 'refused' && isNotSent(end.error));
}

/** One that throws, or returns something else, is reported once by a warning; then the default decides. */
export function safeClassifier(
  owner: string,
  classify: (end: CallEnd) => unknown,
): (end: CallEnd) => NodeOutcome {
  if (classify === outcomeOf) return outcomeOf;
  let hasWarned = false;
  const warn = (what: string): void => {
    if (hasWarned) return;
    hasWarned = true;
    process.emitWarning(`${owner}: classify ${what}; the default decides instead`);
  };
  return (end) => {
    try {
      const outcome = classify(end);
      if (outcome === 'success' || outcome === 'failure' || outcome === 'neutral') return outcome;
      warn(`must return success, failure or neutral, but returned ${describeValue(outcome)}`);
    } catch (error) {
      warn(`threw ${describeThrown(error)}`);
    }
    return outcomeOf(end);
  };
}

/** Whether the call cannot have reached the node, so that another node may get it whatever it does. */
export function isNotSent(error: unknown): boolean {
  if (propertyOf(error, 'outcome') === 'not-applied') return true;
  for (const link of errorChain(error)) {
    if (unconnectedCodes.has(propertyOf(link, 'code'))) return true;
    // The addresses of a name, each with its own error.
    const errors = propertyOf(link, 'errors');
    if (Array.isArray(errors) && errors.length > 0 && errors.every(isNotSent)) return true;
  }
  return false;
}
