/** What an edit begins with. */
export type EditInput = {
  readonly sessionId: string;
  readonly clientId: string;
  readonly branch: string;
  readonly instruction: string;
  /** The number of the edit in its session, from 1. */
  readonly number: number;
  /** Of a dead letter that is tried again. */
  readonly earlier: EarlierWork | null;
};

/** What an earlier run of the same edit had done; nothing of it is done, or paid for, again. */
export type EarlierWork = {
  readonly base: string;
  readonly baseBranch: string;
  readonly dateMs: number;
  readonly answer: string;
};
