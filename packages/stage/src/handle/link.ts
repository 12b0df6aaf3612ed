import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { isHoldfastError } from '@holdfast/foundation';
import { reservePorts } from '../system/ports.ts';
import type { Address, StageContext } from '../topology/server-spec.ts';

/** A fault proxy in front of a server, at an address that is reserved for it. */
export interface Link {
  readonly address: Address;
  readonly proxy: FaultProxy;
  /** Drops its connections and gives the address back. */
  release(): Promise<void>;
}

/** Refuses connections until it is told that the server is there. */
export async function openLink(
  target: Address,
  { random, clock }: Pick<StageContext, 'random' | 'clock'>,
): Promise<Link> {
  const [reserved] = await reservePorts(random, 1);
  if (reserved === undefined) throw new RangeError('one port was asked for, none came');
  const address = { host: target.host, port: reserved.port };
  try {
    const proxy = await createFaultProxy({ target, listen: address, clock, holdsProcess: false });
    proxy.refuse();
    return {
      address,
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

/** Whether a link was not opened because somebody else came to listen at its port. */
export function wasPortTaken(error: unknown): boolean {
  return isHoldfastError(error) && error.code === 'FAULTS_PROXY_LISTEN_FAILED';
}
