import { InvalidOptionError } from '@holdfast/foundation';
import { createDialer } from '../../dialing/create-dialer.ts';
import type { DialerOptions, ManagedDialer } from '../../dialing/dialer.ts';
import { createResolver } from '../../names/create-resolver.ts';
import type { Resolver } from '../../names/resolver.ts';
import type { Dialer } from '../../network.ts';
import type { FetchSettings } from '../options.ts';
import type { AddressChangeSource } from '../resilient-fetch.ts';

/** What opens connections, and what tells of moved names; `close` ends what was made here. */
export interface DialingParts {
  readonly dialer: Dialer;
  readonly resolver: AddressChangeSource | undefined;
  close(): Promise<void>;
}

/**
 * The dialer of the options, or one of its own, over a resolver of its own if none is given.
 * @throws InvalidOptionError
 */
export function openDialing(settings: FetchSettings): DialingParts {
  const { dialer, resolver, allowPrivate, tls, clock } = settings;
  const owner = 'createResilientFetch';
  if (dialer !== undefined) {
    const permitted = 'left out with a dialer, which has its own';
    for (const [field, value] of Object.entries({ allowPrivate, tls })) {
      if (value !== undefined) throw new InvalidOptionError(owner, field, value, permitted);
    }
    return { dialer, resolver, close: async () => {} };
  }
  const own = resolver === undefined ? createResolver({ clock }) : undefined;
  const names = own ?? resolver;
  if (names === undefined || !isResolver(names)) {
    throw new InvalidOptionError(owner, 'resolver', resolver, 'a Resolver, or given with a dialer');
  }
  const options: DialerOptions = {
    clock,
    resolver: names,
    ...(allowPrivate !== undefined && { allowPrivate }),
    ...(tls !== undefined && { tls }),
  };
  const made: ManagedDialer = createDialer(options);
  return {
    dialer: made,
    resolver: names,
    async close() {
      await made.close();
      await own?.close();
    },
  };
}

function isResolver(given: AddressChangeSource): given is Resolver {
  return 'resolve' in given && 'report' in given;
}
