import { type TlsFaultKind, createCertificateAuthority, tlsFaultKinds } from '@holdfast/faults';
import {
  InvalidOptionError,
  type OptionRule,
  isHoldfastError,
  oneOf,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import type { TlsProtocol } from '@holdfast/emulators';
import { protocolRule } from '@holdfast/emulators/programs';

export interface TlsOptions {
  /** Whom the server proves to be: DNS names and IP addresses. Default `localhost` and `127.0.0.1`. */
  hostnames?: readonly string[];
  /** What it speaks inside: HTTPS that says back what it was asked, or an echo. Default `https`. */
  protocol?: TlsProtocol;
  /** What is wrong with it from the beginning. Default: nothing. */
  fault?: TlsFaultKind;
}

/** What stands as `stage.tls`. */
export interface ResolvedTlsOptions {
  readonly hostnames: readonly string[];
  readonly protocol: TlsProtocol;
  readonly fault: TlsFaultKind | undefined;
}

/** The authority's own rules, under the name of this option. */
const hostnamesRule: OptionRule<readonly string[]> = {
  permitted: 'an array of DNS names and IP addresses',
  parse(value, field, owner) {
    if (!Array.isArray(value)) throw new InvalidOptionError(owner, field, value, this.permitted);
    try {
      createCertificateAuthority().issue({ hostnames: value });
      return value;
    } catch (error) {
      if (!isInvalidOption(error)) throw error;
      const path = error.field.replace('hostnames', field);
      throw new InvalidOptionError(owner, path, error.value, error.permitted);
    }
  },
  defaultValue: () => ['localhost', '127.0.0.1'],
};

function isInvalidOption(error: unknown): error is InvalidOptionError {
  return isHoldfastError(error) && error.code === 'INVALID_OPTION';
}

export const faultRule: OptionRule<TlsFaultKind> = oneOf(tlsFaultKinds);

const shape = { hostnames: hostnamesRule, protocol: protocolRule, fault: optional(faultRule) };

/** `true` stands for one with its defaults. */
export const tlsRule: OptionRule<ResolvedTlsOptions> = {
  permitted: 'true or an object',
  parse: (value, field, owner) => parseOptions(owner, shape, value === true ? {} : value, field),
};
