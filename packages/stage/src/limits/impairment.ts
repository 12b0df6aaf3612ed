import { InvalidOptionError, number, parseOptions } from '@holdfast/foundation';

/** What becomes of the packets that a server sends. Ratios are from 0 to 1, of all packets. */
export interface ImpairOptions {
  /** How much later each packet goes, in milliseconds, up to 60 000. Default 0. */
  delayMs?: number;
  /** By how much that varies, up and down, in milliseconds, up to `delayMs`. Default 0. */
  jitterMs?: number;
  /** Packets that are lost; TCP sends them again. Default 0. */
  lossRatio?: number;
  /** Packets that go twice. Default 0. */
  duplicateRatio?: number;
  /** Packets with a flipped bit; who receives them drops them by their checksum. Default 0. */
  corruptRatio?: number;
  /** Packets that go without the delay, before others; needs `delayMs`. Default 0. */
  reorderRatio?: number;
}

export type Impairment = Readonly<Required<ImpairOptions>>;

/** What does the same at the level of connections, everywhere. */
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
    const permitted = '0 without delayMs, since what is not delayed overtakes what is';
    throw new InvalidOptionError(owner, 'reorderRatio', reorderRatio, permitted);
  }
  if (Object.values(impairment).every((value) => value === 0)) {
    const permitted = `an object with at least one of ${Object.keys(shape).join(', ')} above 0`;
    throw new InvalidOptionError(owner, 'options', options, permitted);
  }
  return impairment;
}
