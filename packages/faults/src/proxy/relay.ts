import type { Socket } from 'node:net';
import { resetSocket } from './reset-socket.ts';

/** The two ends of a connection, as an interpreter between them speaks to them. */
export interface ConnectionIo {
  readonly toClient: (bytes: Buffer) => void;
  readonly toServer: (bytes: Buffer) => void;
  /** The client gets these bytes and FIN; the server's end is dropped. */
  closeAfter(lastWords: Buffer): void;
  /** Both ends are dropped, the client's by RST. */
  reset(): void;
}

/** Understands what passes, and decides what passes on. */
export interface ProtocolFilter {
  readonly fromClient: (bytes: Buffer) => void;
  readonly fromServer: (bytes: Buffer) => void;
}

/**
 * Joins two sockets through an interpreter, with backpressure and half-closes passed on. Whatever it throws
 * breaks this connection alone, by RST.
 * @param resetClient for a client whose bytes travel over another socket.
 * @param onBroken is told why when a connection is broken by what its interpreter could not read.
 */
export function relay(
  client: Socket,
  server: Socket,
  interpreterOf: (line: ConnectionIo) => ProtocolFilter,
  onBroken: (error: unknown) => void,
  resetClient: () => void = () => resetSocket(client),
): ConnectionIo {
  let isOver = false;
  const drop = (): void => {
    isOver = true;
    server.destroy();
    if (!client.destroyed) resetClient();
  };
  const steer = (): void => {
    // Answers to the client come from both sides, so a client that does not read stops both.
    const isClientFull = client.writableNeedDrain;
    if (isClientFull) server.pause();
    else server.resume();
    if (isClientFull || server.writableNeedDrain) client.pause();
    else client.resume();
  };
  const line: ConnectionIo = {
    toClient(bytes) {
      if (client.writable && !client.write(bytes)) steer();
    },
    toServer(bytes) {
      if (server.writable && !server.write(bytes)) steer();
    },
    closeAfter(lastWords) {
      isOver = true;
      server.destroy();
      client.end(lastWords);
      client.resume();
    },
    reset: drop,
  };
  const interpreter = interpreterOf(line);
  const reading = (read: (bytes: Buffer) => void) => (bytes: Buffer) => {
    if (isOver) return;
    try {
      read(bytes);
    } catch (error) {
      onBroken(error);
      drop();
    }
  };
  client.on('data', reading(interpreter.fromClient));
  server.on('data', reading(interpreter.fromServer));
  client.on('drain', steer);
  server.on('drain', steer);
  client.on('end', () => server.end());
  server.on('end', () => client.end());
  client.on('error', drop);
  server.on('error', drop);
  client.on('close', () => server.destroy());
  server.on('close', () => {
    if (!isOver && !client.writableEnded) client.end();
  });
  steer();
  return line;
}
