/** What a build says without failing. */
export interface BuildWarning {
  readonly text: string;
}

/** One file of a build. */
export interface BuiltFile {
  /** Relative to the site, with `/`. */
  readonly path: string;
  /** SHA-256 of the content, in hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  readonly contentType: string;
}

declare const verified: unique symbol;

/** A build whose exit code, files and links were checked: the only thing that can be published. */
export interface VerifiedBuild {
  /** Only `verifyBuild` makes one; a value of the same shape is refused. */
  readonly [verified]: true;
  readonly directory: string;
  readonly files: readonly BuiltFile[];
  /** SHA-256 over paths and contents: equal for equal sites. */
  readonly digest: string;
  readonly warnings: readonly BuildWarning[];
}

const known = new WeakSet<object>();

/** For the verifier alone. */
export function markVerified(build: Omit<VerifiedBuild, typeof verified>): VerifiedBuild {
  const frozen = Object.freeze({ ...build });
  known.add(frozen);
  // The brand exists for the type checker; the set above is what is asked at run time.
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the one place that makes the brand.
  return frozen as VerifiedBuild;
}

/** Whether a value is a build that the verifier made in this process. */
export function isVerified(build: object): build is VerifiedBuild {
  return known.has(build);
}
