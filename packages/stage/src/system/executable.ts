/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A program of this machine and how to run it. */
export interface Executable {
  readonly file: string;
  /** Added to the environment of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** The user that it runs as; absent for the user of this process. */
  readonly user?: ProcessUser;
}

/** The numeric ids of a user and a group. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
}
