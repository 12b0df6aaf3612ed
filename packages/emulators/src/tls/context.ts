import type { SecureContextOptions } from 'node:tls';
import type { TlsSettings } from './settings.ts';

/** Settings as `tls.createServer` and `tls.Server.setSecureContext` take them. */
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
