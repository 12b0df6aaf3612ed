import type { LookupAddress, LookupOptions } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

/** The `lookup` option of `net.connect`, `http.request`, undici's `connect` and others. */
export type LookupFunction = (
  hostname: string,
  options: LookupOptions,
  respond: (
    error: NodeJS.ErrnoException | null,
    address: string | LookupAddress[],
    family?: number,
  ) => void,
) => void;

/** How long and how often a resolver asks. */
export interface ResolverTimeouts {
  /** The time limit of one attempt. Default 1 000. */
  readonly timeoutMs?: number;
  /** The number of attempts. Default 2. */
  readonly tries?: number;
}

/**
 * A resolver of Node that asks only the given server, `address:port`.
 * @param server `address:port`
 */
export function createResolver(
  server: string,
  { timeoutMs = 1_000, tries = 2 }: ResolverTimeouts = {},
): Resolver {
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  resolver.setServers([server]);
  return resolver;
}

/**
 * A `dns.lookup` that queries this server, which `dns.setServers` cannot achieve. Its errors are those of
 * `dns.lookup`: `ENOTFOUND` for a name that does not exist or has no address, `EAI_AGAIN` for every other
 * failure; the resolver's error is the cause.
 */
export function lookupBy(server: string, timeouts: ResolverTimeouts = {}): LookupFunction {
  return (hostname, options, respond) => {
    const family = familyOf(options.family);
    const literal = isIP(hostname);
    const found =
      literal === 0
        ? resolve(createResolver(server, timeouts), hostname, family)
        : Promise.resolve([{ address: hostname, family: literal }]);
    found.then(
      (addresses) => {
        const [first] = addresses;
        if (options.all === true) respond(null, addresses);
        else respond(null, first?.address ?? '', first?.family);
      },
      (error: unknown) => respond(asLookupError(error, hostname), ''),
    );
  };
}

async function resolve(
  resolver: Resolver,
  hostname: string,
  family: 0 | 4 | 6,
): Promise<LookupAddress[]> {
  const families = family === 0 ? ([4, 6] as const) : ([family] as const);
  const results = await Promise.allSettled(
    families.map(async (each) => {
      const addresses = await (each === 4
        ? resolver.resolve4(hostname)
        : resolver.resolve6(hostname));
      return addresses.map((address) => ({ address, family: each }));
    }),
  );
  const found = results.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  const failed = results.find((each) => each.status === 'rejected');
  if (found.length > 0) return found;
  throw failed?.reason ?? Object.assign(new Error('the alias has no address'), { code: 'ENODATA' });
}

function familyOf(family: LookupOptions['family']): 0 | 4 | 6 {
  if (family === 4 || family === 'IPv4') return 4;
  return family === 6 || family === 'IPv6' ? 6 : 0;
}

/** An error in the form of Node's `dns.lookup`. */
function asLookupError(cause: unknown, hostname: string): NodeJS.ErrnoException {
  const seen = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : '';
  const code = seen === 'ENOTFOUND' || seen === 'ENODATA' ? 'ENOTFOUND' : 'EAI_AGAIN';
  const error = new Error(`getaddrinfo ${code} ${hostname}`, { cause });
  return Object.assign(error, { code, syscall: 'getaddrinfo', hostname });
}
