import {
  InvalidOptionError,
  type Rule,
  oneOf,
  optional,
  readOptions,
  text,
} from '@holdfast/resilience/foundation';

/** What a TLS server speaks inside of TLS. */
export type TlsProtocol = 'https' | 'echo';

/** All that the program of a TLS server is told; the names are those of `tls.createServer`. */
export interface TlsSettings {
  readonly protocol: TlsProtocol;
  /** What is wrong with what it shows, for its log. */
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

export const protocolRule: Rule<TlsProtocol> = oneOf(['https', 'echo'], 'https');

const pemRule: Rule<string> = {
  permitted: 'text in PEM',
  accepts(value, field, owner) {
    const isPem = typeof value === 'string' && value.startsWith('-----BEGIN ');
    if (isPem && value.length <= MAX_PEM_CHARACTERS) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const shape = {
  protocol: protocolRule,
  fault: optional(text({ maxLength: 50 })),
  key: pemRule,
  cert: pemRule,
  minVersion: version,
  maxVersion: version,
  ciphers: optional(text({ maxLength: 1_000 })),
};

/** @throws InvalidOptionError */
export function readTlsSettings(given: unknown): TlsSettings {
  return readOptions('tls', shape, given);
}
