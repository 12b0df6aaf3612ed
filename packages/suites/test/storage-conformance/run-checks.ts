/** A promise of a server, and what it has to come to, in a word or two. */
export interface Check<World> {
  readonly name: string;
  readonly expected: string;
  /** What it came to; what it throws is part of no verdict. */
  run(world: World): Promise<string>;
}

/** A check that comes to something else on one server, and why that is so. */
export interface Divergence {
  /** As the suite names the server. */
  readonly server: string;
  readonly check: string;
  readonly verdict: string;
  readonly reason: string;
}

/**
 * What a verdict has to be: the expected one, or, for a listed divergence, exactly the one that is listed.
 * A divergence that is no more is wrong as well, and so none outlives its reason.
 */
export function wantedFor(
  { name, expected }: Pick<Check<never>, 'name' | 'expected'>,
  server: string,
  divergences: readonly Divergence[],
): string {
  const listed = divergences.find((each) => each.server === server && each.check === name);
  return listed?.verdict ?? expected;
}

/** Divergences that no check has, or that say what is expected anyway. */
export function idleDivergences(
  checks: readonly Pick<Check<never>, 'name' | 'expected'>[],
  divergences: readonly Divergence[],
): readonly Divergence[] {
  return divergences.filter(({ check, verdict }) => {
    const judged = checks.find(({ name }) => name === check);
    return judged === undefined || judged.expected === verdict;
  });
}
