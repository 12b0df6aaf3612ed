import { ADDRCONFIG, type LookupAddress, type LookupOptions, V4MAPPED } from 'node:dns';
import { InvalidOptionError, isHoldfastError } from '@holdfast/foundation';
import type { AddressSet, IpAddress } from '../network.ts';
import { configuredFamilies } from './answers/address-order.ts';
import { NameHasNoAddressError } from './errors.ts';
import type { LookupCallback, LookupFamily, NameLookup, Resolver } from './resolver.ts';

type Hit = (hostname: string, family: LookupFamily) => AddressSet | undefined;

/** A `dns.lookup` that asks the resolver. Its callback is never called before it returns. */
export function createLookup(resolver: Pick<Resolver, 'resolve'>, hit: Hit): NameLookup {
  return (hostname, given, callback) => {
    const respond = callback ?? given;
    if (typeof respond !== 'function') {
      throw new InvalidOptionError('lookup', 'callback', callback, 'a function');
    }
    const options = typeof given === 'object' && given !== null ? given : {};
    const family = familyIn(typeof given === 'number' ? given : options.family);
    const isPlain = options.hints === undefined && options.order === undefined;
    const set = isPlain && options.verbatim === undefined ? hit(hostname, family) : undefined;
    if (set !== undefined) {
      deliver(set.addresses, options.all === true, respond);
      return;
    }
    find(resolver, hostname, family, options).then(
      (addresses) => deliver(addresses, options.all === true, respond),
      (error: unknown) => process.nextTick(respond, toLookupError(error, hostname), '', 0),
    );
  };
}

function deliver(addresses: readonly IpAddress[], all: boolean, respond: LookupCallback): void {
  if (all) {
    // The caller may change what it gets.
    const list: LookupAddress[] = addresses.map(({ address, family }) => ({ address, family }));
    process.nextTick(respond, null, list);
    return;
  }
  const [first] = addresses;
  process.nextTick(respond, null, first?.address ?? '', first?.family);
}

async function find(
  resolver: Pick<Resolver, 'resolve'>,
  hostname: string,
  family: LookupFamily,
  options: LookupOptions,
): Promise<readonly IpAddress[]> {
  const { hints = 0 } = options;
  const isMapped = family === 6 && (hints & V4MAPPED) !== 0;
  const { addresses } = await resolver.resolve(hostname, { family: isMapped ? 0 : family });
  const usable = (hints & ADDRCONFIG) === 0 ? addresses : withConfigured(addresses);
  const ofFamily = isMapped ? mapped(usable) : usable;
  if (ofFamily.length === 0) throw new NameHasNoAddressError(hostname, family);
  return inOrder(ofFamily, options.order);
}

/** Only families of which the machine has an address, as `getaddrinfo` does. */
function withConfigured(addresses: readonly IpAddress[]): readonly IpAddress[] {
  const configured = configuredFamilies();
  return addresses.filter(({ family }) => configured?.has(family) ?? true);
}

/** IPv6 where there is any, else IPv4 written as IPv6. */
function mapped(addresses: readonly IpAddress[]): readonly IpAddress[] {
  const own = addresses.filter(({ family }) => family === 6);
  if (own.length > 0) return own;
  return addresses.map(({ address }) => ({ address: `::ffff:${address}`, family: 6 }));
}

function inOrder(
  addresses: readonly IpAddress[],
  order: LookupOptions['order'],
): readonly IpAddress[] {
  if (order !== 'ipv4first' && order !== 'ipv6first') return addresses;
  const first = order === 'ipv4first' ? 4 : 6;
  return [
    ...addresses.filter(({ family }) => family === first),
    ...addresses.filter(({ family }) => family !== first),
  ];
}

function familyIn(family: LookupOptions['family']): LookupFamily {
  if (family === undefined || family === 0) return 0;
  if (family === 4 || family === 'IPv4') return 4;
  if (family === 6 || family === 'IPv6') return 6;
  throw new InvalidOptionError('lookup', 'family', family, "0, 4, 6, 'IPv4' or 'IPv6'");
}

/** In the form of `dns.lookup`, whose codes clients know; what was found out is the cause. */
function toLookupError(cause: unknown, hostname: string): NodeJS.ErrnoException {
  const code = lookupCode(cause);
  const error = new Error(`getaddrinfo ${code} ${hostname}`, { cause });
  return Object.assign(error, { code, syscall: 'getaddrinfo', hostname });
}

function lookupCode(cause: unknown): string {
  if (!isHoldfastError(cause)) return 'EAI_AGAIN';
  switch (cause.code) {
    case 'NETWORK_NAME_NOT_FOUND':
    case 'NETWORK_NAME_NO_ADDRESS':
    case 'INVALID_OPTION':
      return 'ENOTFOUND';
    case 'NETWORK_NAME_RESOURCES':
      return 'EMFILE';
    case 'NETWORK_CLOSED':
      return 'ECANCELED';
    default:
      return 'EAI_AGAIN';
  }
}
