/** Why a row was rejected. */
export interface Rejection {
  /** Such as `price` or `countries.iso`; empty for the row itself. */
  readonly field: string;
  /** The permitted values in words; fixed texts, so that reasons can be counted. */
  readonly permitted: string;
  /** What was there, shortened. */
  readonly seen: string;
}

/** A row of the API that is no valid bundle, and where it was. */
export interface RejectedRow extends Rejection {
  readonly page: number;
  /** The place in the page, from 0. */
  readonly row: number;
  /** Shortened, if it has one. */
  readonly name: string | undefined;
}

/** How many rows were rejected, and why. */
export interface RejectionReport {
  readonly rejected: number;
  /** By `field: permitted`. */
  readonly reasons: Readonly<Record<string, number>>;
  /** The first ones. */
  readonly samples: readonly RejectedRow[];
}

const MAX_SAMPLES = 10;

/** The rejections of one page or of many; bounded however many there are. */
export class Rejections implements RejectionReport {
  rejected = 0;
  readonly reasons: Record<string, number> = {};
  readonly samples: RejectedRow[] = [];

  add(row: RejectedRow): void {
    this.addCount(`${row.field}: ${row.permitted}`, 1);
    if (this.samples.length < MAX_SAMPLES) this.samples.push(row);
  }

  addCount(reason: string, count: number): void {
    this.rejected += count;
    this.reasons[reason] = (this.reasons[reason] ?? 0) + count;
  }

  addAll({ reasons, samples }: RejectionReport): void {
    for (const [reason, count] of Object.entries(reasons)) this.addCount(reason, count);
    this.samples.push(...samples.slice(0, MAX_SAMPLES - this.samples.length));
  }
}
