import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { type Clock, type Random, isHoldfastError } from '@holdfast/foundation';
import type { Endpoint } from '../system/endpoint.ts';
import { reservePorts } from '../system/ports.ts';

/** A fault proxy in front of a server, at a reserved endpoint. */
export interface ServerLink {
  readonly endpoint: Endpoint;
  readonly proxy: FaultProxy;
  /** Drops its connections and releases the endpoint. */
  release(): Promise<void>;
}

/** Opens a link that refuses connections until its proxy accepts them. */
export async function openLink(
  target: Endpoint,
  { random, clock }: { readonly random: Random; readonly clock: Clock },
): Promise<ServerLink> {
  const [reserved] = await reservePorts(random, 1);
  if (reserved === undefined) throw new RangeError('reservePorts(1) returned no port');
  const endpoint = { host: target.host, port: reserved.port };
  try {
    const proxy = await createFaultProxy({ target, listen: endpoint, clock, holdsProcess: false });
    proxy.refuse();
    return {
      endpoint,
      proxy,
      async release() {
        await proxy.close();
        await reserved.release();
      },
    };
  } catch (error) {
    await reserved.release();
    throw error;
  }
}

/** Whether a link could not be opened because another process listens on its port. */
export function wasPortTaken(error: unknown): boolean {
  return isHoldfastError(error) && error.code === 'FAULTS_PROXY_LISTEN_FAILED';
}
