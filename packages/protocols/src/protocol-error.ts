import { HoldfastError } from '@holdfast/foundation';

/** What passed was not the protocol the proxy speaks; that connection was broken. */
export class ProtocolError extends HoldfastError {
  readonly code = 'PROTOCOL_VIOLATION';

  constructor(protocol: 'Redis' | 'Postgres', seen: string) {
    super(
      `a fault proxy for ${protocol} read ${seen}; the connection was reset. Put createFaultProxy in front of servers that speak another protocol, or TLS`,
      { outcome: 'unknown' },
    );
  }
}
