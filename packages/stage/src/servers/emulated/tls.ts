import type { TlsHandshake } from '@holdfast/emulators';
import { parseTlsSettings, probeTls, type TlsSettings } from '@holdfast/emulators/programs';
import {
  type CertificateAuthority,
  type Credentials,
  type TlsFaultKind,
  createCertificateAuthority,
  tlsServerOptions,
} from '@holdfast/faults';
import { type Clock, boolean, integer, optional, parseOptions } from '@holdfast/foundation';
import type { ServerHandle } from '../../handle/handle.ts';
import type { Environment } from '../../system/executable.ts';
import type { ServerTopology } from '../../topology/topology.ts';
import { emulatedServer, replaceSettings } from './emulated-server.ts';
import { type ResolvedTlsOptions, faultRule } from './tls-options.ts';

/**
 * A TLS server. A change applies to new connections and leaves present ones alone. It survives a restart; the
 * records of handshakes do not.
 */
export interface Tls extends ServerHandle {
  /** The certificate of its authority as PEM: the `ca` of a client. */
  readonly ca: string;
  /** The names in its certificate. */
  readonly hostnames: readonly string[];
  /**
   * Presents a certificate or protocol with that fault.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  setFault(fault: TlsFaultKind): Promise<void>;
  /** Presents a valid certificate again. */
  heal(): Promise<void>;
  /**
   * Presents a new certificate with a new key; its fault, if any, stays. Sessions of the former one are still resumed.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  rotate(options?: RotateOptions): Promise<void>;
  /** Adds the present certificate to the next revocation lists; it stays in use. */
  revoke(): void;
  /**
   * The revocation list of its authority, as PEM.
   * @param options.stale a list that should have been replaced an hour ago.
   */
  crl(options?: { readonly stale?: boolean }): string;
  /** The outcomes of its handshakes, the newest 10 000. */
  handshakes(): Promise<readonly TlsHandshake[]>;
  /** Forgets the handshakes so far. */
  forgetHandshakes(): Promise<void>;
}

/** Options of `rotate`. */
export interface RotateOptions {
  /** Signed by an intermediate authority, whose certificate is sent too. Default false. */
  intermediate?: boolean;
  /** In how many milliseconds it ends, in whole seconds. Default: 90 days. Not with a fault. */
  validForMs?: number;
}

/** The settings of the emulator, with the fault that they implement. */
type SettingsWithFault = TlsSettings & { readonly fault: TlsFaultKind | undefined };

export function tlsTopology(
  { hostnames, protocol, fault: initialFault }: ResolvedTlsOptions,
  clock: Clock,
  env: Environment,
): ServerTopology<Tls> {
  const authority = createCertificateAuthority({ clock });
  let presented = '';
  const settingsWith = (fault?: TlsFaultKind, rotation?: RotateOptions): SettingsWithFault => {
    const server =
      fault === undefined
        ? validServer(authority, hostnames, clock, rotation)
        : tlsServerOptions(authority, { hostnames, clock, fault });
    presented = server.cert;
    return { ...parseTlsSettings({ protocol, fault, ...server }), fault };
  };
  const settings = settingsWith(initialFault);
  return emulatedServer(
    {
      name: 'tls',
      program: 'tls',
      settings,
      scheme: protocol === 'echo' ? 'tls' : 'https',
      probe: probeTls,
      configureExisting: replaceSettings('tls', settings),
      api: (_handle, client) => ({
        ca: authority.certificate,
        hostnames,
        setFault: (fault: TlsFaultKind) =>
          client.change('setFault', () =>
            settingsWith(faultRule.parse(fault, 'fault', 'tls.setFault')),
          ),
        heal: () => client.change('heal', () => settingsWith(undefined)),
        rotate: (options?: RotateOptions) =>
          client.change('rotate', (present) => settingsWith(present.fault, options)),
        revoke: () => authority.revoke(presented),
        crl: ({ stale = false } = {}) => {
          const nowMs = clock.epochMs();
          return authority.revocationList(
            stale ? { thisUpdateMs: nowMs - 2 * HOUR_MS, nextUpdateMs: nowMs - HOUR_MS } : {},
          );
        },
        handshakes: () => client.readRecords<TlsHandshake>('handshakes'),
        forgetHandshakes: () => client.clearRecords('forgetHandshakes'),
      }),
    },
    env,
  );
}

const HOUR_MS = 3_600_000;
const rotateShape = {
  intermediate: boolean(false),
  validForMs: optional(integer({ min: 1_000, max: 3_650 * 24 * HOUR_MS })),
};

function validServer(
  authority: CertificateAuthority,
  hostnames: readonly string[],
  clock: Clock,
  rotation: RotateOptions = {},
): Credentials {
  const { intermediate, validForMs } = parseOptions('tls.rotate', rotateShape, rotation);
  const issuer = intermediate ? authority.createIntermediate() : authority;
  if (validForMs === undefined) return issuer.issue({ hostnames });
  const nowMs = clock.epochMs();
  return issuer.issue({ hostnames, validFromMs: nowMs - HOUR_MS, validToMs: nowMs + validForMs });
}
