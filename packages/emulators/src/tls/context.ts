import { randomBytes } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import type { TlsSettings } from './settings.ts';

/** The same for all certificates, as on a server that has a new one: sessions of the former one are resumed. */
const ticketKeys = randomBytes(48);

/** The options of `tls.createServer` and `tls.Server.setSecureContext`. */
export function contextOf(settings: TlsSettings): TlsOptions {
  const { key, cert, minVersion, maxVersion, ciphers } = settings;
  return {
    key,
    cert,
    ticketKeys,
    ...(minVersion !== undefined && { minVersion }),
    ...(maxVersion !== undefined && { maxVersion }),
    ...(ciphers !== undefined && { ciphers }),
  };
}
