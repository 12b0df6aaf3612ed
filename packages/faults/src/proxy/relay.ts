import type { Socket } from 'node:net';
import { resetSocket } from './reset-socket.ts';

/** The two ends of a connection, as the filter between them writes to them. */
export interface ConnectionIo {
  readonly toClient: (bytes: Buffer) => void;
  readonly toServer: (bytes: Buffer) => void;
  /** Sends these bytes and FIN to the client, and drops the server's end. */
  closeAfter(bytes: Buffer): void;
  /** Drops both ends, the client's by RST. */
  reset(): void;
}

/** Reads what passes through a connection and decides what is passed on. */
export interface ProtocolFilter {
  fromClient(bytes: Buffer): void;
  fromServer(bytes: Buffer): void;
}

/** The collaborators of {@link relay}. */
interface RelayDeps {
  readonly createFilter: (io: ConnectionIo) => ProtocolFilter;
  /** Called when the filter throws; the connection is reset. */
  readonly onFilterError?: () => void;
  /** For a client whose bytes travel over another socket. Default: reset the client's socket. */
  readonly resetClient?: () => void;
}

/**
 * Connects two sockets through a filter, with backpressure, and passes half-closes on. When the filter throws, only
 * this connection is reset.
 */
export function relay(client: Socket, server: Socket, deps: RelayDeps): ConnectionIo {
  const { createFilter, onFilterError, resetClient = () => resetSocket(client) } = deps;
  let isOver = false;
  const drop = (): void => {
    isOver = true;
    server.destroy();
    if (!client.destroyed) resetClient();
  };
  const updateFlow = (): void => {
    // The client receives responses of both sides, so a client that does not read pauses both.
    const isClientFull = client.writableNeedDrain;
    if (isClientFull) server.pause();
    else server.resume();
    if (isClientFull || server.writableNeedDrain) client.pause();
    else client.resume();
  };
  const io: ConnectionIo = {
    toClient(bytes) {
      if (client.writable && !client.write(bytes)) updateFlow();
    },
    toServer(bytes) {
      if (server.writable && !server.write(bytes)) updateFlow();
    },
    closeAfter(bytes) {
      isOver = true;
      server.destroy();
      client.end(bytes);
      client.resume();
    },
    reset: drop,
  };
  const filter = createFilter(io);
  const pass = (direction: 'fromClient' | 'fromServer') => (bytes: Buffer) => {
    if (isOver) return;
    try {
      filter[direction](bytes);
    } catch {
      onFilterError?.();
      drop();
    }
  };
  client.on('data', pass('fromClient'));
  server.on('data', pass('fromServer'));
  client.on('drain', updateFlow);
  server.on('drain', updateFlow);
  client.on('end', () => server.end());
  server.on('end', () => client.end());
  client.on('error', drop);
  server.on('error', drop);
  client.on('close', () => server.destroy());
  server.on('close', () => {
    if (!isOver && !client.writableEnded) client.end();
  });
  updateFlow();
  return io;
}
