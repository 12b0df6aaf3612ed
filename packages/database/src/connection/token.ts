/** A position in the write-ahead log. Plain data: it may travel in a cookie or a header. */
export interface Token {
  /** The timeline that the position belongs to; a promotion begins a new one. */
  readonly timeline: number;
  /** In the format of Postgres, such as `16/B374D848`. */
  readonly lsn: string;
}
