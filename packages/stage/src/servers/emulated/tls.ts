import { type TlsFaultKind, createCertificateAuthority, tlsServerOptions } from '@holdfast/faults';
import type { Clock } from '@holdfast/foundation';
import { type ServerTopology, singleServer } from '../../topology/topology.ts';
import { imageOf } from '../../images.ts';
import { locateNode, nodeServer } from './emulated-server.ts';
import { createControlClient, putSettings } from './control-client.ts';
import type { Environment } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import { type ResolvedTlsOptions, faultRule } from './tls-options.ts';
import type { TlsHandshake } from '@holdfast/emulators';
import { parseTlsSettings, probeTls, type TlsSettings } from '@holdfast/emulators/programs';

/**
 * A TLS server. What it shows of itself changes for who connects from then on: connections that stand are
 * left alone. It outlasts a restart; the handshakes that were seen do not.
 */
export interface Tls extends ServerHandle {
  /** The certificate of who vouches for it, as PEM: what a client takes as `ca`. */
  readonly ca: string;
  /** Whom it proves to be. */
  readonly hostnames: readonly string[];
  /**
   * Shows what is wrong in that way.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  setFault(fault: TlsFaultKind): Promise<void>;
  /** Shows a certificate again that holds. */
  heal(): Promise<void>;
  /** Shows a new certificate with a new key; what is wrong with it, if anything, stays. */
  rotate(): Promise<void>;
  /** How its clients have fared, the newest 10 000 handshakes. */
  handshakes(): Promise<readonly TlsHandshake[]>;
  /** Forgets the handshakes so far. */
  forgetHandshakes(): Promise<void>;
}

/** What the program is told, with the fault under its own name. */
type SteeredTls = TlsSettings & { readonly fault: TlsFaultKind | undefined };

export function tlsTopology(
  { hostnames, protocol, fault }: ResolvedTlsOptions,
  clock: Clock,
  env: Environment,
): ServerTopology<Tls> {
  const authority = createCertificateAuthority({ clock });
  const settingsUnder = (wrong: TlsFaultKind | undefined): SteeredTls => {
    const shown = tlsServerOptions(authority, {
      hostnames,
      clock,
      ...(wrong && { fault: wrong }),
    });
    return { ...parseTlsSettings({ protocol, fault: wrong, ...shown }), fault: wrong };
  };
  const settings = settingsUnder(fault);
  const scheme = protocol === 'https' ? 'https' : 'tls';
  const solo = singleServer({
    compose: { available: true, services: ['tls'] },
    docker: { available: true, images: [imageOf('node', env)] },
    locate: locateNode,
    cast: (address) =>
      nodeServer(
        {
          name: 'tls',
          program: 'tls',
          settings,
          network: 'bridge',
          url: ({ host, port }) => `${scheme}://${host}:${port}`,
          probe: probeTls,
          async adopt(at, signal) {
            await putSettings('tls', at, settings, signal);
          },
        },
        address,
        env,
      ),
  });
  return {
    ...solo,
    toHandle(handles, context) {
      const handle = solo.toHandle(handles, context);
      const steering = createControlClient(handle, settings, context);
      return Object.assign(handle, {
        ca: authority.certificate,
        hostnames,
        setFault: (wrong: TlsFaultKind) =>
          steering.change('setFault', () =>
            settingsUnder(faultRule.parse(wrong, 'fault', 'tls.setFault')),
          ),
        heal: () => steering.change('heal', () => settingsUnder(undefined)),
        rotate: () => steering.change('rotate', (now) => settingsUnder(now.fault)),
        async handshakes() {
          return handshakesIn(await steering.readLog('handshakes'));
        },
        forgetHandshakes: () => steering.clearLog('forgetHandshakes'),
      });
    },
  };
}

/** Both ends are this package's own, so the list is what the program wrote. */
function handshakesIn(said: unknown): readonly TlsHandshake[] {
  return Array.isArray(said) ? said : [];
}
