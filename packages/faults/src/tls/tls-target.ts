import { type Rule, flag, optional, readOptions, text } from '@holdfast/resilience';

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
  ca: optional(text({ maxLength: 1_000_000 })),
  servername: optional(text({ maxLength: 253 })),
  rejectUnauthorized: flag(true),
};

/** Reads a {@link TlsTarget}, without what is absent. */
export const targetTlsRule: Rule<TlsTarget | undefined> = optional({
  permitted: 'an object',
  accepts(value, field, owner) {
    const { ca, servername, rejectUnauthorized } = readOptions(owner, shape, value, field);
    return {
      rejectUnauthorized,
      ...(ca === undefined ? {} : { ca }),
      ...(servername === undefined ? {} : { servername }),
    };
  },
});
