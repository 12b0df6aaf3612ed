import type { TlsHandshake } from '@holdfast/emulators';
import { parseTlsSettings, probeTls, type TlsSettings } from '@holdfast/emulators/programs';
import { type TlsFaultKind, createCertificateAuthority, tlsServerOptions } from '@holdfast/faults';
import type { Clock } from '@holdfast/foundation';
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
  /** Presents a new certificate with a new key; its fault, if any, stays. */
  rotate(): Promise<void>;
  /** The outcomes of its handshakes, the newest 10 000. */
  handshakes(): Promise<readonly TlsHandshake[]>;
  /** Forgets the handshakes so far. */
  forgetHandshakes(): Promise<void>;
}

/** The settings of the emulator, with the fault that they implement. */
type SettingsWithFault = TlsSettings & { readonly fault: TlsFaultKind | undefined };

export function tlsTopology(
  { hostnames, protocol, fault: initialFault }: ResolvedTlsOptions,
  clock: Clock,
  env: Environment,
): ServerTopology<Tls> {
  const authority = createCertificateAuthority({ clock });
  const settingsWith = (fault: TlsFaultKind | undefined): SettingsWithFault => {
    const options = { hostnames, clock, ...(fault && { fault }) };
    const server = tlsServerOptions(authority, options);
    return { ...parseTlsSettings({ protocol, fault, ...server }), fault };
  };
  const settings = settingsWith(initialFault);
  return emulatedServer(
    {
      name: 'tls',
      program: 'tls',
      settings,
      scheme: protocol === 'https' ? 'https' : 'tls',
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
        rotate: () => client.change('rotate', (present) => settingsWith(present.fault)),
        handshakes: () => client.readRecords<TlsHandshake>('handshakes'),
        forgetHandshakes: () => client.clearRecords('forgetHandshakes'),
      }),
    },
    env,
  );
}
