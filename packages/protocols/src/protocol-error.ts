import { HoldfastError } from '@holdfast/foundation';

/** The bytes do not follow the protocol; the connection cannot be used any longer. */
export class ProtocolError extends HoldfastError {
  readonly code = 'PROTOCOL_VIOLATION';

  constructor(protocol: 'Redis' | 'Postgres', seen: string) {
    super(
      `not the ${protocol} protocol: ${seen}. Check that a ${protocol} client and server speak here, without TLS`,
      { outcome: 'unknown' },
    );
  }
}
