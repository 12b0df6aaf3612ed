import { NameHasNoAddressError, NameNotFoundError } from '../errors.ts';

/** What is known of one family of a name. */
export type FamilyPart =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly untilMs: number }
  | { readonly kind: 'not-found' | 'no-address'; readonly untilMs: number }
  /** Nothing is known: the question failed, or has no answer yet. */
  | { readonly kind: 'failed'; readonly cause: unknown };

export interface FamilyParts {
  readonly 4: FamilyPart | undefined;
  readonly 6: FamilyPart | undefined;
}

/** What the parts say together. */
export type Combined =
  | {
      readonly kind: 'addresses';
      readonly 4: readonly string[];
      readonly 6: readonly string[];
      readonly untilMs: number;
    }
  /** The zone says that there is no address. */
  | { readonly kind: 'absent'; readonly error: Error; readonly untilMs: number }
  | { readonly kind: 'failed'; readonly cause: unknown }
  /** `hasAnswer`: one family has one, which serves alone if the other takes too long. */
  | { readonly kind: 'pending'; readonly hasAnswer: boolean };

/** A family that has addresses serves alone when the other fails: RFC 8305, section 3. */
export function combine(hostname: string, family: 0 | 4 | 6, parts: FamilyParts): Combined {
  const wanted = family === 0 ? [parts[4], parts[6]] : [parts[family]];
  const known = wanted.filter((part) => part !== undefined);
  if (known.length < wanted.length) {
    const hasAnswer = known.some(({ kind }) => kind === 'addresses' || kind === 'not-found');
    return { kind: 'pending', hasAnswer };
  }
  const untilMs = Math.min(
    ...known.map((part) => (part.kind === 'failed' ? Infinity : part.untilMs)),
  );
  if (known.some(({ kind }) => kind === 'addresses')) {
    const of = (each: 4 | 6): readonly string[] => {
      const part = family === 0 || family === each ? parts[each] : undefined;
      return part?.kind === 'addresses' ? part.addresses : [];
    };
    return { kind: 'addresses', 4: of(4), 6: of(6), untilMs };
  }
  // A name that does not exist has no records of any type: RFC 8020.
  if (known.some(({ kind }) => kind === 'not-found')) {
    return { kind: 'absent', error: new NameNotFoundError(hostname), untilMs };
  }
  const failed = known.find((part) => part.kind === 'failed');
  if (failed !== undefined) return { kind: 'failed', cause: failed.cause };
  return { kind: 'absent', error: new NameHasNoAddressError(hostname, family), untilMs };
}
