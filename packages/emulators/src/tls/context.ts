import type { SecureContextOptions } from 'node:tls';
import type { TlsSettings } from './settings.ts';

/** The options of `tls.createServer` and `tls.Server.setSecureContext`. */
export function contextOf(settings: TlsSettings): SecureContextOptions {
  const { key, cert, minVersion, maxVersion, ciphers } = settings;
  return {
    key,
    cert,
    ...(minVersion !== undefined && { minVersion }),
    ...(maxVersion !== undefined && { maxVersion }),
    ...(ciphers !== undefined && { ciphers }),
  };
}
