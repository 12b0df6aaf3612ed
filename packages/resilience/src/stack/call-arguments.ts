import { InvalidOptionError } from '@holdfast/foundation';
import { WORK_OPTIONS, checkCallOptions } from '../check-call.ts';
import { SUBSTITUTES } from '../fallback/fallback.ts';
import type { StackWork } from './resilience-stack.ts';

const STACK_OPTIONS = [...new Set([...WORK_OPTIONS, ...SUBSTITUTES])];

/**
 * The work of a call, whose key may stand before it.
 * @throws InvalidOptionError naming the argument or the option.
 */
export function checkedWork<T>(
  first: string | StackWork<T>,
  second: unknown,
  options: unknown,
): StackWork<T>;
export function checkedWork(first: unknown, second: unknown, options: unknown): unknown {
  const owner = 'stack.execute';
  const hasKey = typeof first === 'string';
  if (!hasKey && typeof second === 'function') {
    throw new InvalidOptionError(owner, 'key', first, 'a string');
  }
  const work = hasKey ? second : first;
  if (typeof work !== 'function') throw new InvalidOptionError(owner, 'work', work, 'a function');
  if (options !== undefined) checkCallOptions(owner, options, STACK_OPTIONS);
  return work;
}
