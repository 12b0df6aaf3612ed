import type { KeptOutcome } from '../../outcomes/outcome-store.ts';
import type { TopicKeys } from '../keys.ts';
import { MAX_STEP_BYTES } from '../scripts/script.ts';

/** The most jobs that one script ends with their outcomes. */
const MAX_STEP_JOBS = 100;

/** The keys and arguments of one script. */
interface OutcomeStep {
  readonly keys: string[];
  readonly args: (string | number)[];
}

/** Ends jobs of one subqueue with their outcomes, in steps that each occupy the server for a short time. */
export function* outcomeSteps(
  keys: TopicKeys,
  subqueue: string,
  ids: readonly string[],
  outcomes: ReadonlyMap<string, KeptOutcome>,
): Generator<OutcomeStep> {
  const prefix = subqueue === '' ? '' : `${subqueue}/`;
  let step: OutcomeStep = { keys: [keys.news], args: [] };
  let characters = 0;
  let jobs = 0;
  for (const entry of ids) {
    const kept = outcomes.get(prefix + entry);
    if (kept === undefined) continue;
    const { id, ttlMs, outcome } = kept;
    if (jobs === MAX_STEP_JOBS || (jobs > 0 && characters + outcome.length > MAX_STEP_BYTES)) {
      yield step;
      step = { keys: [keys.news], args: [] };
      characters = 0;
      jobs = 0;
    }
    step.keys.push(keys.result(id), keys.settled(id));
    step.args.push(entry, id, ttlMs, outcome);
    characters += outcome.length;
    jobs += 1;
  }
  if (jobs > 0) yield step;
}
