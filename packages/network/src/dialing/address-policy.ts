import { BlockList, isIP } from 'node:net';
import { InvalidOptionError } from '@holdfast/foundation';
import { addressBytes } from '@holdfast/protocols';

/** Decides which addresses may be connected. */
export interface AddressPolicy {
  /** What the address is, when it is not permitted; `undefined` for one that is. */
  refusedRange(address: string): string | undefined;
}

interface Range {
  readonly name: string;
  readonly list: BlockList;
  /** Whether `allowPrivate: true` permits it. */
  readonly isPrivate: boolean;
}

/** Addresses inside other ranges at which clouds answer with credentials: AWS, Google, Alibaba and Oracle. */
const METADATA = ['fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '192.0.0.192'];

/** IANA's registries of special-purpose addresses, and the ranges of multicast. The first that holds an address names it. */
const RANGES: readonly Range[] = [
  range('link-local', false, ['169.254.0.0/16', 'fe80::/10']),
  range('multicast or broadcast', false, ['224.0.0.0/4', '255.255.255.255/32', 'ff00::/8']),
  range('a metadata service', false, METADATA),
  range('loopback', true, ['127.0.0.0/8', '::1/128']),
  range('unspecified', true, ['0.0.0.0/8', '::/128']),
  range('private', true, [
    '10.0.0.0/8',
    '172.16.0.0/12',
    '192.168.0.0/16',
    'fc00::/7',
    'fec0::/10',
  ]),
  range('shared by a carrier', true, ['100.64.0.0/10']),
  range('reserved', true, [
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '240.0.0.0/4',
    '64:ff9b:1::/48',
    '100::/64',
    '2001::/23',
    '2001:db8::/32',
    '3fff::/20',
    '5f00::/16',
  ]),
];

/** Outside it, IPv6 has no public addresses. */
const globalUnicast = blockList(['2000::/3']);

/** Accepts the option `allowPrivate`. @throws InvalidOptionError */
export function createAddressPolicy(
  allowPrivate: boolean | readonly unknown[],
  field: string,
  owner: string,
): AddressPolicy {
  const permitted =
    typeof allowPrivate === 'boolean' ? undefined : parseNetworks(allowPrivate, field, owner);
  return {
    refusedRange(given) {
      const address = given.replace(/%.*$/, '');
      const inner = embeddedIpv4(address);
      // An address that carries another one is as dangerous as that one.
      const seen = inner === undefined ? [address] : [inner];
      if (permitted !== undefined && [address, ...seen].some((each) => contains(permitted, each))) {
        return undefined;
      }
      const found = seen.map(specialRange).find((each) => each !== undefined);
      if (found === undefined) return undefined;
      return allowPrivate === true && found.isPrivate ? undefined : found.name;
    },
  };
}

function specialRange(address: string): { name: string; isPrivate: boolean } | undefined {
  const found = RANGES.find(({ list }) => contains(list, address));
  if (found !== undefined) return found;
  const isReserved = isIP(address) === 6 && !contains(globalUnicast, address);
  return isReserved ? { name: 'reserved', isPrivate: true } : undefined;
}

/** The IPv4 address to which the network translates an IPv6 address, or at which a tunnel ends. */
function embeddedIpv4(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined;
  const bytes = addressBytes(address);
  const at = (offset: number): string => bytes.subarray(offset, offset + 4).join('.');
  const startsWith = (hex: string): boolean => bytes.toString('hex').startsWith(hex);
  // Mapped, and the older compatible form; `::` and `::1` are no such addresses.
  if (startsWith('00000000000000000000ffff')) return at(12);
  if (startsWith('000000000000000000000000') && bytes.readUInt32BE(12) > 1) return at(12);
  // Translated without a state: IPv4-translated, and NAT64 with its well-known prefix.
  if (startsWith('0000000000000000ffff0000')) return at(12);
  if (startsWith('0064ff9b0000000000000000')) return at(12);
  // 6to4
  if (startsWith('2002')) return at(2);
  // ISATAP keeps the address behind 0000:5efe, or 0200:5efe for a public one.
  return /^(?:00|02)005efe$/.test(bytes.toString('hex', 8, 12)) ? at(12) : undefined;
}

function range(name: string, isPrivate: boolean, networks: readonly string[]): Range {
  return { name, isPrivate, list: blockList(networks) };
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) addNetwork(list, network);
  return list;
}

function parseNetworks(networks: readonly unknown[], field: string, owner: string): BlockList {
  const list = new BlockList();
  networks.forEach((network, index) => {
    if (typeof network === 'string' && addNetwork(list, network)) return;
    const permitted = 'an IP address or a network such as 10.0.0.0/8';
    throw new InvalidOptionError(owner, `${field}[${index}]`, network, permitted);
  });
  return list;
}

function addNetwork(list: BlockList, network: string): boolean {
  const [, address = '', bits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  const prefix = bits === undefined ? most : Number(bits);
  if (family === 0 || prefix > most) return false;
  list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  return true;
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
