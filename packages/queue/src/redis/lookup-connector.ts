import { type LookupFunction, type Socket, connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { propertyOf } from '@holdfast/foundation';
import { AbstractConnector } from 'ioredis';

/** How an ioredis client connects: what it calls a connector. */
export interface ConnectorOption {
  readonly Connector?: new (options: unknown) => AbstractConnector;
}

/** ioredis hands no `lookup` of its own to the socket. */
export function connectorOption(lookup: LookupFunction | undefined): ConnectorOption {
  if (lookup === undefined) return {};
  return {
    Connector: class extends AbstractConnector {
      readonly #options: unknown;

      constructor(options: unknown) {
        super(Number(propertyOf(options, 'disconnectTimeout') ?? 2_000));
        this.#options = options;
      }

      override connect(): Promise<Socket> {
        const { host, port, tls } = Object(this.#options);
        const target = { host, port, lookup };
        this.connecting = true;
        const stream = tls ? connectTls({ ...Object(tls), ...target }) : connect(target);
        stream.once('error', (error) => {
          this.firstError = error;
        });
        this.stream = stream;
        return Promise.resolve(stream);
      }
    },
  };
}
