import { type Random, describeThrown, describeValue } from '@holdfast/foundation';
import { ignoreRejection, warnOnce } from './decision.ts';

/** A user's source of random numbers; when it fails, the middle of the range takes the place of its number. */
export function safeRandom(name: string, random: Random): Random {
  const warn = warnOnce(`${name}: random`);
  return () => {
    try {
      const drawn: unknown = random();
      if (typeof drawn === 'number' && drawn >= 0 && drawn <= 1) return drawn;
      ignoreRejection(drawn);
      warn(`must return a number from 0 to 1, but returned ${describeValue(drawn)}`);
    } catch (error) {
      warn(`threw: ${describeThrown(error)}`);
    }
    return 0.5;
  };
}
