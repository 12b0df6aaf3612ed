import { type LookupFunction, type Socket, isIP } from 'node:net';
import { type Clock, abortable, isThenable, withDeadline } from '@holdfast/foundation';
import { CallbackFailedError } from '../errors.ts';
import { connectError, errorMessage, mayConnectLater } from './sql-state.ts';

/** How long the password may take, and for which host it is. */
interface PasswordLimits {
  /** `host:port`. */
  readonly host: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * The password of a new connection; a function has the connect timeout as its limit.
 * @throws CallbackFailedError, or the signal's reason
 */
export async function resolvePassword(
  password: string | (() => string | Promise<string>) | undefined,
  { host, timeoutMs, clock, signal }: PasswordLimits,
): Promise<string | undefined> {
  signal.throwIfAborted();
  if (typeof password !== 'function') return password;
  const tooLate = (): Error =>
    connectError('CONNECT_TIMEOUT', `no password within ${timeoutMs} ms`);
  try {
    return await withDeadline(clock, timeoutMs, signal, tooLate, async (within) => {
      const given = await abortable((async () => password())(), within);
      if (typeof given === 'string') return given;
      // What it is may be a part of the secret.
      throw new TypeError('it did not return a string');
    });
  } catch (error) {
    signal.throwIfAborted();
    throw callbackFailed('password', host, error);
  }
}

/** Lets the function of the caller find the address: pg connects by port and host alone, or by the path of a socket. */
export function useLookup(socket: Socket, lookup: LookupFunction, host: string): void {
  const connectSocket: unknown = Reflect.get(socket, 'connect');
  const guarded = guardedLookup(lookup, host);
  socket.connect = (...given: readonly unknown[]): Socket => {
    const [port, hostname] = given;
    const target = typeof port === 'number' ? [{ port, host: hostname, lookup: guarded }] : given;
    if (typeof connectSocket === 'function') Reflect.apply(connectSocket, socket, target);
    return socket;
  };
}

/**
 * Settles once, whatever the caller's function does: throw, reject, call back twice, or with no address. That a name is
 * not found is what `dns.lookup` says too, and passes unchanged.
 */
function guardedLookup(lookup: LookupFunction, host: string): LookupFunction {
  return (hostname, options, callback) => {
    let isSettled = false;
    const settle: typeof callback = (error, address, family) => {
      if (isSettled) return;
      isSettled = true;
      if (error !== null && error !== undefined) {
        callback(mayConnectLater(error) ? error : callbackFailed('lookup', host, error), '');
      } else if (!isAddress(address)) {
        callback(callbackFailed('lookup', host, new TypeError('it found no IP address')), '');
      } else callback(null, address, family);
    };
    const fail = (error: unknown): void => settle(callbackFailed('lookup', host, error), '');
    try {
      const returned: unknown = lookup(hostname, options, settle);
      if (isThenable(returned)) Promise.resolve(returned).catch(fail);
    } catch (error) {
      fail(error);
    }
  };
}

function isAddress(found: unknown): boolean {
  if (!Array.isArray(found)) return typeof found === 'string' && isIP(found) > 0;
  const addresses: readonly unknown[] = found;
  return addresses.length > 0 && addresses.every((each) => isIP(String(Object(each).address)) > 0);
}

function callbackFailed(
  name: CallbackFailedError['callback'],
  host: string,
  cause: unknown,
): CallbackFailedError {
  if (cause instanceof CallbackFailedError) return cause;
  return new CallbackFailedError(name, { host, cause, seen: errorMessage(cause) });
}
