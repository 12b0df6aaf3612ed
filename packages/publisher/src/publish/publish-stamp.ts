/** Who publishes what, so that an older build never replaces a newer one. */
export interface PublishStamp {
  /** The commit that was built. */
  readonly commit: string;
  /** The branch of the commit; orders of different branches are not compared. */
  readonly branch: string;
  /** The number of commits up to it on its branch: the later of two has the higher. */
  readonly order: number;
  /** The run, and its fence: a worker whose run was taken over has a lower one. */
  readonly run: string;
  readonly fence: bigint;
}
