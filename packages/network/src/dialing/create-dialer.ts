import { CallDeadline, type Clock, type Emitter, createEmitter } from '@holdfast/foundation';
import { NetworkClosedError } from '../errors.ts';
import type { DialOptions, DialTarget, DialedConnection } from '../network.ts';
import { TlsRefusedError } from '../tls/errors.ts';
import { type DialerEvents, dialerEventKinds } from '../tls/events.ts';
import { parseCrls } from '../tls/revocation.ts';
import { TlsConnector } from '../tls/tls-connector.ts';
import { AddressScores } from '../addresses/address-scores.ts';
import { type DialDeps, type DialPhase, dialTarget } from './dial.ts';
import type { DialerOptions, DialerStats, ManagedDialer } from './dialer.ts';
import { DialTimeoutError, PrivateAddressError } from './errors.ts';
import {
  type Destination,
  type ResolvedDialOptions,
  type ResolvedDialerOptions,
  parseDialOptions,
  parseDialerOptions,
  parseTarget,
} from './options.ts';
import { systemResolver } from './system-resolver.ts';

const OWNER = 'createDialer';
/** Those that are remembered; the oldest is forgotten. */
const MAX_FAILED_ADDRESSES = 1_000;

/**
 * Creates the one place where names become sockets: both families are tried (RFC 8305), private addresses are refused
 * unless permitted, servers are verified, and one deadline covers name, connect and handshake.
 * @throws InvalidOptionError
 */
export function createDialer(given: DialerOptions = {}): ManagedDialer {
  return new SocketDialer(parseDialerOptions(OWNER, given));
}

class SocketDialer implements ManagedDialer {
  readonly on: ManagedDialer['on'];
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #emitter: Emitter<DialerEvents> = createEmitter('holdfast:network', dialerEventKinds);
  readonly #closing = new AbortController();
  readonly #tls: TlsConnector;
  readonly #deps: DialDeps;
  readonly #counts = {
    dials: 0,
    connected: 0,
    failed: 0,
    attempts: 0,
    resumed: 0,
    tlsRefused: 0,
    addressesRefused: 0,
  };

  constructor(options: ResolvedDialerOptions) {
    const { clock, timeoutMs, allowPrivate, attemptDelayMs, family } = options;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.on = this.#emitter.on;
    this.#tls = new TlsConnector(options.tls, OWNER, {
      clock,
      emit: (kind, event) => this.#emitter.emit(kind, event),
    });
    this.#deps = {
      clock,
      allowPrivate,
      attemptDelayMs,
      family,
      tls: this.#tls,
      resolver: options.resolver ?? systemResolver(clock),
      onRefused: options.tls.onRefused,
      scores: new AddressScores(options.failedAddressMs, MAX_FAILED_ADDRESSES),
      attempted: () => void (this.#counts.attempts += 1),
    };
  }

  async dial(target: DialTarget, options: DialOptions = {}): Promise<DialedConnection> {
    const first = parseTarget('dial', target, 'target');
    const call = parseDialOptions('dial', options);
    const { signal: closing } = this.#closing;
    const signals = call.signal === undefined ? [closing] : [call.signal, closing];
    const limitMs = call.timeoutMs ?? this.#timeoutMs;
    const deadline = new CallDeadline(this.#clock, limitMs, signals);
    const phase: DialPhase = { current: 'name' };
    this.#counts.dials += 1;
    try {
      deadline.signal.throwIfAborted();
      const connection = await this.#dialAny([first, ...call.alternates], call, deadline, phase);
      this.#counts.connected += 1;
      if (connection.resumed === true) this.#counts.resumed += 1;
      return connection;
    } catch (error) {
      this.#counts.failed += 1;
      if (error instanceof PrivateAddressError) this.#counts.addressesRefused += 1;
      if (deadline.cancellation?.kind !== 'deadline') throw error;
      const { hostname, port } = first.target;
      throw new DialTimeoutError(hostname, port, phase.current, limitMs);
    } finally {
      deadline.release();
    }
  }

  getStats(): DialerStats {
    const { openSockets, sessions } = this.#tls;
    return { ...this.#counts, openTlsSockets: openSockets, sessions };
  }

  replaceCrls(crls: readonly (string | Buffer)[]): void {
    this.#tls.replaceCrls(parseCrls(crls, 'crls', 'replaceCrls'));
  }

  close(): Promise<void> {
    this.#closing.abort(new NetworkClosedError('the dialer'));
    this.#tls.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Dials the first target, and where its server is refused and the policy permits it, the alternates. */
  async #dialAny(
    [first, ...alternates]: readonly [Destination, ...Destination[]],
    call: ResolvedDialOptions,
    deadline: CallDeadline,
    phase: DialPhase,
  ): Promise<DialedConnection> {
    let refusal: TlsRefusedError;
    try {
      return await dialTarget(this.#deps, first, call, deadline, phase);
    } catch (error) {
      if (!(error instanceof TlsRefusedError)) throw error;
      refusal = this.#refused(error);
    }
    if (this.#deps.onRefused === 'refuse') throw refusal;
    for (const destination of alternates) {
      try {
        const connection = await dialTarget(this.#deps, destination, call, deadline, phase);
        return { ...connection, alternate: destination.target };
      } catch (error) {
        if (error instanceof TlsRefusedError) this.#refused(error);
        if (deadline.cancellation !== undefined) throw error;
      }
    }
    throw refusal;
  }

  #refused(error: TlsRefusedError): TlsRefusedError {
    this.#counts.tlsRefused += 1;
    this.#emitter.emit('refused', { error });
    return error;
  }
}
