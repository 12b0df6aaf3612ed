import { InvalidOptionError, number, parseOptions } from '@holdfast/foundation';

/** How the packets that a server sends are impaired. Ratios are shares of all packets, from 0 to 1. */
export interface ImpairOptions {
  /** Delay of each packet in milliseconds, up to 60 000. Default 0. */
  delayMs?: number;
  /** Variation of the delay in both directions, in milliseconds, up to `delayMs`. Default 0. */
  jitterMs?: number;
  /** Share of lost packets; TCP sends them again. Default 0. */
  lossRatio?: number;
  /** Share of duplicated packets. Default 0. */
  duplicateRatio?: number;
  /** Share of packets with a flipped bit; the receiver drops them by their checksum. Default 0. */
  corruptRatio?: number;
  /** Share of packets sent without the delay, before others; requires `delayMs`. Default 0. */
  reorderRatio?: number;
}

export type Impairment = Readonly<Required<ImpairOptions>>;

/** The alternative that works for connections in every mode. */
export const LINK_REMEDY = `Use the server's link: link.faults.set('latency', { latencyMs })`;

const LONGEST_DELAY_MS = 60_000;
const ratio = number({ min: 0, max: 1, default: 0 });
const shape = {
  delayMs: number({ min: 0, max: LONGEST_DELAY_MS, default: 0 }),
  jitterMs: number({ min: 0, max: LONGEST_DELAY_MS, default: 0 }),
  lossRatio: ratio,
  duplicateRatio: ratio,
  corruptRatio: ratio,
  reorderRatio: ratio,
};

/** @throws InvalidOptionError */
export function parseImpairment(owner: string, options: ImpairOptions): Impairment {
  const impairment = parseOptions(owner, shape, options);
  const { delayMs, jitterMs, reorderRatio } = impairment;
  if (jitterMs > delayMs) {
    throw new InvalidOptionError(owner, 'jitterMs', jitterMs, `at most delayMs (${delayMs})`);
  }
  if (reorderRatio > 0 && delayMs === 0) {
    const permitted = '0 without delayMs, since undelayed packets overtake delayed ones';
    throw new InvalidOptionError(owner, 'reorderRatio', reorderRatio, permitted);
  }
  if (Object.values(impairment).every((value) => value === 0)) {
    const permitted = `an object with at least one of ${Object.keys(shape).join(', ')} above 0`;
    throw new InvalidOptionError(owner, 'options', options, permitted);
  }
  return impairment;
}
