/** A possible mistake, and the tests that have to detect it. */
export interface PlantedBug {
  readonly name: string;
  /** Path from the repository's root. */
  readonly file: string;
  /** The correct code, which occurs exactly once in the file. */
  readonly sound: string;
  readonly broken: string;
  /** Patterns for the path and the name of the tests that have to fail. */
  readonly tests: { readonly path: string; readonly name: string };
}
