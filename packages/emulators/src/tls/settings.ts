import {
  InvalidOptionError,
  type OptionRule,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';

/** The protocol inside TLS. */
export type TlsProtocol = 'https' | 'h2' | 'echo';

/** The settings of the TLS program; the names are those of `tls.createServer`. */
export interface TlsSettings {
  readonly protocol: TlsProtocol;
  /** The fault of the certificate or the parameters, for the log. */
  readonly fault: string | undefined;
  readonly key: string;
  readonly cert: string;
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
  readonly ciphers: string | undefined;
}

type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

const MAX_PEM_CHARACTERS = 65_536;
const version = optional(oneOf<TlsVersion>(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']));

/** The rule of the option `protocol`: `https` (default), `h2` or `echo`. */
export const protocolRule: OptionRule<TlsProtocol> = oneOf(['https', 'h2', 'echo'], 'https');

const pemRule: OptionRule<string> = {
  permitted: 'text in PEM',
  parse(value, field, owner) {
    const isPem = typeof value === 'string' && value.startsWith('-----BEGIN ');
    if (isPem && value.length <= MAX_PEM_CHARACTERS) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const shape = {
  protocol: protocolRule,
  fault: optional(string({ maxLength: 50 })),
  key: pemRule,
  cert: pemRule,
  minVersion: version,
  maxVersion: version,
  ciphers: optional(string({ maxLength: 1_000 })),
};

/**
 * The settings of the TLS server with their defaults.
 * @throws InvalidOptionError
 */
export function parseTlsSettings(given: unknown): TlsSettings {
  return parseOptions('tls', shape, given);
}
