import { type AddressScores, alternate } from '../addresses/address-scores.ts';
import type { IpAddress } from '../network.ts';

/** The families in turn (RFC 8305, section 4), each in the given order; addresses that failed lately come last. */
export function orderAddresses(
  addresses: readonly IpAddress[],
  scores: AddressScores,
  nowMs: number,
): readonly IpAddress[] {
  const hasFailed = ({ address }: IpAddress): boolean =>
    scores.failedUntilMs(address, nowMs) !== undefined;
  const usable = addresses.filter((address) => !hasFailed(address));
  const unusable = addresses.filter(hasFailed);
  return [...interleave(usable), ...interleave(unusable)];
}

function interleave(addresses: readonly IpAddress[]): readonly IpAddress[] {
  const [first] = addresses;
  if (first === undefined) return [];
  const preferred = addresses.filter(({ family }) => family === first.family);
  const others = addresses.filter(({ family }) => family !== first.family);
  return alternate(preferred, others);
}
