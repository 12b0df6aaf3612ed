/** A check of a server, with its expected result in a word or two. */
export interface Check<World> {
  readonly name: string;
  readonly expected: string;
  /** Resolves with the result; an exception is not a result. */
  run(world: World): Promise<string>;
}

/** A check with another result on one server, and the reason. */
export interface Divergence {
  /** The name of the server in the suite. */
  readonly server: string;
  readonly check: string;
  readonly verdict: string;
  readonly reason: string;
}

/**
 * The result that a check requires: the expected one, or for a listed divergence exactly the listed one.
 * A divergence that no longer occurs fails as well, so that none outlives its reason.
 */
export function wantedFor(
  { name, expected }: Pick<Check<never>, 'name' | 'expected'>,
  server: string,
  divergences: readonly Divergence[],
): string {
  const listed = divergences.find((each) => each.server === server && each.check === name);
  return listed?.verdict ?? expected;
}

/** Divergences without a check, or with the result that the check expects anyway. */
export function idleDivergences(
  checks: readonly Pick<Check<never>, 'name' | 'expected'>[],
  divergences: readonly Divergence[],
): readonly Divergence[] {
  return divergences.filter(({ check, verdict }) => {
    const judged = checks.find(({ name }) => name === check);
    return judged === undefined || judged.expected === verdict;
  });
}
