import type { TlsProtocol } from '@holdfast/emulators';
import { protocolRule } from '@holdfast/emulators/programs';
import { type TlsFaultKind, createCertificateAuthority, tlsFaultKinds } from '@holdfast/faults';
import {
  InvalidOptionError,
  type OptionRule,
  isHoldfastError,
  oneOf,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import { emulatedRule } from './emulated-server.ts';

/** Options of the TLS server of a stage. */
export interface TlsOptions {
  /** The DNS names and IP addresses of its certificate. Default `localhost` and `127.0.0.1`. */
  hostnames?: readonly string[];
  /** The protocol inside TLS: HTTPS or HTTP/2 that returns the request, or an echo. Default `https`. */
  protocol?: TlsProtocol;
  /** The fault of its certificate or protocol from the start. Default: none. */
  fault?: TlsFaultKind;
}

export interface ResolvedTlsOptions {
  readonly hostnames: readonly string[];
  readonly protocol: TlsProtocol;
  readonly fault: TlsFaultKind | undefined;
}

/** Checked by the certificate authority; its errors name this option. */
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

/** `true`: the defaults. */
export const tlsRule: OptionRule<ResolvedTlsOptions> = emulatedRule((owner, value, field) =>
  parseOptions(owner, shape, value, field),
);
