import { type LookupAddress, lookup } from 'node:dns';
import { type Clock, abortable } from '@holdfast/foundation';
import type { AddressSet, ResolveOptions } from '../network.ts';
import type { DialerResolver } from './dialer.ts';
import { shortageOfDescriptors } from './shortage.ts';

/** Asks `dns.lookup` each time: hosts file, name servers and their order as the system has them; nothing is kept. */
export function systemResolver(clock: Clock): DialerResolver {
  return {
    async resolve(hostname, { family = 0, signal }: ResolveOptions = {}): Promise<AddressSet> {
      const asked = lookUp(hostname, family);
      const found = await (signal === undefined ? asked : abortable(asked, signal));
      const addresses = found.map((each) => ({
        address: each.address,
        family: each.family === 6 ? (6 as const) : (4 as const),
      }));
      return { hostname, addresses, validUntilMs: clock.now(), revision: 0 };
    },
  };
}

function lookUp(hostname: string, family: 0 | 4 | 6): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(hostname, { all: true, family }, (error, addresses) => {
      if (error === null) resolve(addresses);
      // Without a free descriptor the system says that the name does not exist.
      else reject(shortageOfDescriptors() ?? error);
    });
  });
}
