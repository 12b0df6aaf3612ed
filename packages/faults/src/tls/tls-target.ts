import { type OptionRule, boolean, optional, parseOptions, string } from '@holdfast/foundation';

/** How a target that speaks TLS is spoken to. */
export interface TlsTarget {
  /** Whom to trust, as PEM. Default: whom Node trusts. */
  ca?: string;
  /** The name it is asked for by. Default: the target's host. */
  servername?: string;
  /** False: whatever it shows is good enough. Default true. */
  rejectUnauthorized?: boolean;
}

const shape = {
  ca: optional(string({ maxLength: 1_000_000 })),
  servername: optional(string({ maxLength: 253 })),
  rejectUnauthorized: boolean(true),
};

/** Reads a {@link TlsTarget}, without what is absent. */
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
