import { type OptionRule, boolean, optional, parseOptions, string } from '@holdfast/foundation';

/** How to connect to a target with TLS. */
export interface TlsTarget {
  /** The trusted authorities, as PEM. Default: those of Node. */
  ca?: string;
  /** The server name to request. Default: the target's host. */
  servername?: string;
  /** False accepts any certificate. Default true. */
  rejectUnauthorized?: boolean;
}

const shape = {
  ca: optional(string({ maxLength: 1_000_000 })),
  servername: optional(string({ maxLength: 253 })),
  rejectUnauthorized: boolean(true),
};

/** Parses a {@link TlsTarget}; absent options are left out. */
export const targetTlsRule: OptionRule<TlsTarget | undefined> = optional({
  permitted: 'an object',
  parse(value, field, owner) {
    const { ca, servername, rejectUnauthorized } = parseOptions(owner, shape, value, field);
    return {
      rejectUnauthorized,
      ...(ca === undefined ? {} : { ca }),
      ...(servername === undefined ? {} : { servername }),
    };
  },
});
