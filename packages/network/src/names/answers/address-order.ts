import { networkInterfaces } from 'node:os';
import { type AddressScores, alternate } from '../../addresses/address-scores.ts';
import type { IpAddress } from '../../network.ts';

/** More orders than that would spread a call no better. */
const MAX_ROTATIONS = 16;

/** The orders in which to try the addresses of a name, one for each call in turn. */
interface AddressOrders {
  readonly orders: readonly (readonly IpAddress[])[];
  /** When an address that is placed last may come first again. */
  readonly untilMs: number;
}

/** Families alternate, beginning with `first` (RFC 8305, section 4); those that failed come last, the oldest failure first. */
export function orderAddresses(
  addresses: { readonly 4: readonly string[]; readonly 6: readonly string[] },
  first: 4 | 6,
  scores: AddressScores,
  nowMs: number,
): AddressOrders {
  const good: Record<4 | 6, IpAddress[]> = { 4: [], 6: [] };
  const failed: { readonly untilMs: number; readonly address: IpAddress }[] = [];
  for (const family of [first, other(first)] as const) {
    for (const address of addresses[family]) {
      const untilMs = scores.failedUntilMs(address, nowMs);
      if (untilMs === undefined) good[family].push({ address, family });
      else failed.push({ untilMs, address: { address, family } });
    }
  }
  failed.sort((one, another) => one.untilMs - another.untilMs);
  const last = failed.map(({ address }) => address);
  const count = Math.min(MAX_ROTATIONS, Math.max(1, good[4].length, good[6].length));
  const orders = Array.from({ length: count }, (_, turn) => [
    ...alternate(rotate(good[first], turn), rotate(good[other(first)], turn)),
    ...last,
  ]);
  return { orders, untilMs: failed[0]?.untilMs ?? Infinity };
}

function other(family: 4 | 6): 4 | 6 {
  return family === 4 ? 6 : 4;
}

function rotate<T>(list: readonly T[], by: number): T[] {
  const start = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/**
 * The families of which the machine has an address that others could reach; `undefined` while it cannot say so, for
 * want of a descriptor.
 */
export function configuredFamilies(): ReadonlySet<4 | 6> | undefined {
  let interfaces: ReturnType<typeof networkInterfaces>;
  try {
    interfaces = networkInterfaces();
  } catch {
    return undefined;
  }
  const own = Object.values(interfaces)
    .flatMap((list = []) => list)
    .filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith('fe80:'));
  return new Set(own.map(({ family }) => (family === 'IPv6' ? 6 : 4)));
}
