import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import {
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
  checkServerIdentity,
  connect,
  createSecureContext,
} from 'node:tls';
import { type Clock, InvalidOptionError, onAbort } from '@holdfast/foundation';
import type { RevocationList } from '@holdfast/protocols/x509';
import type { DialerEvents } from './events.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { classifyTlsFailure } from './classify-tls-failure.ts';
import { type TlsRefusal, TlsRefusedError } from './errors.ts';
import { matchesPins } from './pins.ts';
import {
  type Chain,
  Intermediates,
  certificateAtFault,
  chainOf,
  validToMs,
} from './presented-chain.ts';
import type { ResolvedTlsPolicy } from './resolved-policy.ts';
import { checkRevocation } from './revocation.ts';
import { type StoredSession, SessionStore } from './session-store.ts';

interface TlsConnectorDeps {
  readonly clock: Clock;
  emit<Kind extends keyof DialerEvents>(kind: Kind, event: DialerEvents[Kind]): void;
}

/** The server of one handshake. */
interface TlsServer {
  readonly hostname: string;
  /** Address and port. */
  readonly endpoint: string;
  readonly port: number;
  readonly protocols: readonly string[];
}

interface SecuredSocket {
  readonly socket: TLSSocket;
  readonly validToMs: number;
  readonly resumed: boolean;
}

/** Speaks TLS on connected sockets, and decides which servers are what they claim to be. */
export class TlsConnector {
  readonly #policy: ResolvedTlsPolicy;
  readonly #deps: TlsConnectorDeps;
  readonly #context: SecureContext;
  readonly #sessions: SessionStore;
  readonly #intermediates = new Intermediates();
  readonly #watch: CertificateWatch;
  #crls: readonly RevocationList[];
  #warnedOf = new WeakSet<RevocationList>();

  /** @throws InvalidOptionError */
  constructor(policy: ResolvedTlsPolicy, owner: string, deps: TlsConnectorDeps) {
    this.#policy = policy;
    this.#deps = deps;
    this.#context = secureContext(policy, owner);
    this.#sessions = new SessionStore(policy.maxSessions);
    this.#crls = policy.crls;
    const { warnDays, drainMs } = policy;
    this.#watch = new CertificateWatch({
      clock: deps.clock,
      warnDays,
      drainMs,
      expiring: (event) => deps.emit('expiring', event),
      expired: (event, fingerprint) => {
        this.#sessions.deleteOf(fingerprint);
        deps.emit('expired', event);
      },
    });
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  get openSockets(): number {
    return this.#watch.openSockets;
  }

  replaceCrls(crls: readonly RevocationList[]): void {
    this.#crls = crls;
    this.#watch.recheck((hostname, chain) => this.#revocation(chain, { hostname }, ['revoked']));
  }

  close(): void {
    this.#sessions.clear();
    this.#watch.close();
  }

  /**
   * Rejects with a {@link TlsRefusedError}, the socket's error or the signal's reason; then the socket is destroyed.
   */
  connect(socket: Socket, server: TlsServer, signal: AbortSignal): Promise<SecuredSocket> {
    const { hostname, port, protocols } = server;
    const key = `${hostname} ${port} ${protocols.join()}`;
    const stored = this.#usableSession(key, hostname);
    let chain: Chain = [];
    let identityRefusal: TlsRefusedError | undefined;
    const secured = connect({
      socket,
      host: hostname,
      secureContext: this.#context,
      // What follows from the verification is decided below, where the presented certificates can still be read.
      rejectUnauthorized: false,
      ...(isIP(hostname) === 0 && { servername: hostname }),
      ...(protocols.length > 0 && { ALPNProtocols: [...protocols] }),
      ...(stored !== undefined && { session: stored.session }),
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => {
        // Node reads the presented certificates before it calls this, and they can be read once only.
        chain = chainOf(certificate);
        identityRefusal = identityError(certificate, chain, server, this.#policy.onRefused);
        return identityRefusal;
      },
    });
    let isVerified = false;
    let early: Buffer | undefined;
    secured.on('session', (session: Buffer) => {
      if (isVerified) this.#sessions.set(key, { session, chain });
      else early = session;
    });
    const judge = (): TlsRefusedError | undefined => {
      const resumed = stored !== undefined && secured.isSessionReused();
      if (secured.authorized && resumed) ({ chain } = stored);
      if (secured.authorized) return this.#refusalOf(chain, server);
      return identityRefusal ?? this.#unauthorized(secured, server);
    };
    return handshake(secured, signal, () => {
      const refusal = judge();
      if (refusal !== undefined) throw refusal;
      isVerified = true;
      if (early !== undefined) this.#sessions.set(key, { session: early, chain });
      this.#intermediates.add(chain);
      this.#watch.add(hostname, chain, secured);
      return { socket: secured, validToMs: validToMs(chain), resumed: secured.isSessionReused() };
    }).catch((error: unknown) => {
      if (signal.aborted) throw error;
      this.#sessions.delete(key);
      const { endpoint } = server;
      throw (
        classifyTlsFailure(error, { hostname, endpoint, policy: this.#policy.onRefused }) ?? error
      );
    });
  }

  /** A session that a full handshake would not refuse today; others are forgotten. */
  #usableSession(key: string, hostname: string): StoredSession | undefined {
    const stored = this.#sessions.get(key);
    if (stored === undefined) return undefined;
    const isOver = validToMs(stored.chain) <= this.#deps.clock.epochMs();
    if (!isOver && this.#refusalOf(stored.chain, { hostname }) === undefined) return stored;
    this.#sessions.delete(key);
    return undefined;
  }

  /** What the policy has against a chain that is verified. */
  #refusalOf(
    chain: Chain,
    server: Pick<TlsServer, 'hostname'> & Partial<TlsServer>,
  ): TlsRefusedError | undefined {
    if (!matchesPins(this.#policy.pins, server.hostname, chain)) {
      return this.#refused('pinMismatch', chain[0], server);
    }
    return this.#revocation(chain, server, ['revoked', 'crlStale', 'crlMissing']);
  }

  #revocation(
    chain: Chain,
    server: Pick<TlsServer, 'hostname'> & Partial<TlsServer>,
    kinds: readonly TlsRefusal[],
  ): TlsRefusedError | undefined {
    const nowMs = this.#deps.clock.epochMs();
    const verdict = checkRevocation(chain, this.#crls, nowMs, ({ issuer }, list) => {
      if (this.#policy.crlStale === 'refuse') return false;
      if (!this.#warnedOf.has(list)) {
        this.#warnedOf.add(list);
        this.#deps.emit('crl-stale', { issuer, nextUpdateMs: list.nextUpdateMs });
      }
      return true;
    });
    if (verdict.kind === 'good' || !kinds.includes(verdict.refusal)) return undefined;
    return this.#refused(verdict.refusal, verdict.certificate, server);
  }

  #unauthorized(secured: TLSSocket, server: TlsServer): TlsRefusedError {
    const chain = chainOf(secured.getPeerCertificate(true));
    // Node gives the code, though its types say that it is an Error.
    const code = String(secured.authorizationError);
    const cause = Object.assign(new Error(`${server.hostname} is not authorized: ${code}`), {
      code,
    });
    const kind = classifyTlsFailure(cause)?.kind ?? 'invalidCertificate';
    const isIncomplete = kind === 'unknownCa' && this.#intermediates.isMissing(chain);
    const seen = isIncomplete ? 'incompleteChain' : kind;
    const certificate = certificateAtFault(seen, chain, this.#deps.clock.epochMs());
    return this.#refused(seen, certificate, server, cause);
  }

  #refused(
    kind: TlsRefusal,
    certificate: Chain[number] | undefined,
    { hostname, endpoint }: Pick<TlsServer, 'hostname'> & Partial<TlsServer>,
    cause?: Error & { code: string },
  ): TlsRefusedError {
    return refusedError(
      kind,
      certificate,
      { hostname, endpoint, policy: this.#policy.onRefused },
      cause,
    );
  }
}

/** Settles with what `judge` returns when the handshake is complete, or throws what it throws. */
function handshake<T>(secured: TLSSocket, signal: AbortSignal, judge: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (conclude: () => void): void => {
      release();
      secured.off('secureConnect', onSecure);
      secured.off('error', fail);
      secured.off('close', onClose);
      conclude();
    };
    const fail = (error: unknown): void =>
      settle(() => {
        secured.on('error', () => {});
        secured.destroy();
        reject(error);
      });
    const onClose = (): void =>
      fail(Object.assign(new Error('closed during the handshake'), { code: 'ECONNRESET' }));
    const onSecure = (): void => {
      try {
        const value = judge();
        settle(() => resolve(value));
      } catch (error) {
        fail(error);
      }
    };
    const release = onAbort(signal, () => fail(signal.reason));
    secured.on('secureConnect', onSecure);
    secured.on('error', fail);
    secured.on('close', onClose);
    if (signal.aborted) fail(signal.reason);
  });
}

/** Node accepts a common name where there is no list of names; browsers do not, and authorities do not check it. */
function identityError(
  certificate: PeerCertificate,
  chain: Chain,
  { hostname, endpoint }: TlsServer,
  policy: ResolvedTlsPolicy['onRefused'],
): TlsRefusedError | undefined {
  const known = { hostname, endpoint, policy };
  if (!/(?:^|, )(?:DNS|IP Address):/.test(certificate.subjectaltname ?? '')) {
    return refusedError('noSubjectAltName', chain[0], known);
  }
  const cause = checkServerIdentity(hostname, certificate);
  if (cause === undefined) return undefined;
  const code = 'ERR_TLS_CERT_ALTNAME_INVALID';
  return refusedError('wrongHost', chain[0], known, Object.assign(cause, { code }));
}

function refusedError(
  kind: TlsRefusal,
  certificate: Chain[number] | undefined,
  known: Pick<TlsRefusedError, 'policy'> & { hostname: string; endpoint: string | undefined },
  cause?: Error & { code: string },
): TlsRefusedError {
  return new TlsRefusedError({
    ...known,
    kind,
    subject: certificate?.subject,
    issuer: certificate?.issuer,
    validFromMs: certificate && Date.parse(certificate.validFrom),
    validToMs: certificate && Date.parse(certificate.validTo),
    ...(cause !== undefined && { cause, tlsCode: cause.code }),
  });
}

function secureContext(
  { ca, cert, key, minVersion }: ResolvedTlsPolicy,
  owner: string,
): SecureContext {
  const list = (pem: typeof ca): Buffer[] | undefined =>
    pem === undefined ? undefined : [pem].flat().map((each) => Buffer.from(each));
  try {
    return createSecureContext({ ca: list(ca), cert: list(cert), key: list(key), minVersion });
  } catch (error) {
    const seen = error instanceof Error ? error.message : 'unreadable';
    const permitted = 'a readable certificate and its key in PEM';
    throw new InvalidOptionError(owner, 'tls.cert', seen, permitted);
  }
}
