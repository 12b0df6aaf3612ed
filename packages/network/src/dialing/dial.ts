import { isIP } from 'node:net';
import { type CallDeadline, abortable, callSafely, isHoldfastError } from '@holdfast/foundation';
import type { AddressSet, DialedConnection, IpAddress } from '../network.ts';
import { TlsRefusedError } from '../tls/errors.ts';
import type { TlsConnector } from '../tls/tls-connector.ts';
import type { AddressScores } from '../addresses/address-scores.ts';
import { orderAddresses } from './address-order.ts';
import { classifyFailure } from './classify-failure.ts';
import { connectSocket } from './connect-socket.ts';
import type { DialerResolver } from './dialer.ts';
import { DialFailedError, PrivateAddressError } from './errors.ts';
import type { Destination, ResolvedDialOptions, ResolvedDialerOptions } from './options.ts';
import { type AttemptProgress, RaceLost, race } from './race.ts';

export interface DialDeps extends Pick<
  ResolvedDialerOptions,
  'allowPrivate' | 'attemptDelayMs' | 'clock' | 'family'
> {
  readonly resolver: DialerResolver;
  readonly tls: TlsConnector;
  readonly onRefused: 'refuse' | 'alternate';
  readonly scores: AddressScores;
  /** Called when an attempt starts. */
  attempted(): void;
}

/** What a dial waits for, for the error of its deadline. */
export interface DialPhase {
  current: 'name' | 'connect' | 'handshake';
}

/** Dials one target: name, connect and handshake, within the deadline. */
export async function dialTarget(
  deps: DialDeps,
  { host, target }: Destination,
  { protocols }: ResolvedDialOptions,
  deadline: CallDeadline,
  phase: DialPhase,
): Promise<DialedConnection> {
  const { hostname, port, secure } = target;
  phase.current = 'name';
  const { addresses, revision } =
    host.kind === 'address'
      ? { addresses: [{ address: host.address, family: host.family }], revision: 0 }
      : await resolve(deps, hostname, port, deadline);
  const permitted = permittedAddresses(deps, hostname, addresses);

  const isName = host.kind === 'name';
  const attempt = async (
    address: IpAddress,
    progress: AttemptProgress,
  ): Promise<DialedConnection> => {
    deps.attempted();
    const socket = await connectSocket(address, port, progress.signal);
    progress.connected();
    if (!secure) return { socket, address, revision };
    phase.current = 'handshake';
    const endpoint =
      address.family === 6 ? `[${address.address}]:${port}` : `${address.address}:${port}`;
    const server = { hostname, port, endpoint, protocols };
    const { socket: secured, ...facts } = await deps.tls.connect(socket, server, progress.signal);
    const protocol = secured.alpnProtocol;
    return { socket: secured, address, revision, ...facts, ...(protocol && { protocol }) };
  };

  phase.current = 'connect';
  try {
    const connection = await race(orderAddresses(permitted, deps.scores, deps.clock.now()), {
      clock: deps.clock,
      attemptDelayMs: deps.attemptDelayMs,
      signal: deadline.signal,
      attempt,
      isFinal: (error) => deps.onRefused === 'refuse' && error instanceof TlsRefusedError,
      failed: (address, error) => {
        if (saysNothingOfTheServer(deps, error)) return;
        report(deps, address, 'failed', isName);
      },
    });
    report(deps, connection.address, 'reached', isName);
    return connection;
  } catch (error) {
    throw error instanceof RaceLost ? failureOf(target, error) : error;
  }
}

async function resolve(
  { resolver, family }: DialDeps,
  hostname: string,
  port: number,
  deadline: CallDeadline,
): Promise<AddressSet> {
  const { signal } = deadline;
  const timeoutMs = Math.max(1, Math.ceil(deadline.remainingMs()));
  let found: AddressSet;
  try {
    const asked = resolver.resolve(hostname, { family, signal, timeoutMs });
    found = await abortable(Promise.resolve(asked), signal);
  } catch (error) {
    // Errors of this package's resolver say more than this one could.
    if (signal.aborted || isHoldfastError(error)) throw error;
    throw new DialFailedError({ hostname, port }, nameFailure(error), [], error);
  }
  const addresses = found.addresses.filter(
    (each) => isIP(each.address) === each.family && (family === 0 || each.family === family),
  );
  if (addresses.length > 0) return { ...found, addresses };
  const cause = new Error(`${hostname} has no address${family === 0 ? '' : ` of IPv${family}`}`);
  throw new DialFailedError({ hostname, port }, 'name', [], cause);
}

function nameFailure(error: unknown): 'name' | 'resources' {
  return classifyFailure(error) === 'resources' ? 'resources' : 'name';
}

/** What is checked here is what is dialed: the name is not asked again. */
function permittedAddresses(
  { allowPrivate }: DialDeps,
  hostname: string,
  addresses: readonly IpAddress[],
): readonly IpAddress[] {
  const permitted = addresses.filter(
    ({ address }) => allowPrivate.refusedRange(address) === undefined,
  );
  const [first] = addresses;
  if (permitted.length > 0 || first === undefined) return permitted;
  const range = allowPrivate.refusedRange(first.address) ?? 'not permitted';
  throw new PrivateAddressError(hostname, first.address, range);
}

/** A shortage on this machine, or a server that was reached and is not to be replaced by another. */
function saysNothingOfTheServer({ onRefused }: DialDeps, error: unknown): boolean {
  if (error instanceof TlsRefusedError) return onRefused === 'refuse';
  return classifyFailure(error) === 'resources';
}

function report(
  { scores, clock, resolver }: DialDeps,
  { address }: IpAddress,
  result: 'reached' | 'failed',
  isName: boolean,
): void {
  scores.report(address, result, clock.now());
  if (isName) callSafely('the report of a resolver', () => resolver.report?.(address, result));
}

/** A refusal before all, for it needs an operator; then a shortage, for it is of this machine. */
function failureOf(
  target: { hostname: string; port: number },
  { attempts }: RaceLost,
): TlsRefusedError | DialFailedError {
  const refused = attempts
    .map(({ error }) => error)
    .find((error) => error instanceof TlsRefusedError);
  if (refused !== undefined) return refused;
  const kinds = attempts.map(({ error }) => classifyFailure(error));
  const kind = kinds.find((each) => each === 'resources') ?? kinds[0] ?? 'other';
  return new DialFailedError(target, kind, attempts, attempts[kinds.indexOf(kind)]?.error);
}
