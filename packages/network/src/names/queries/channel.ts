import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { createFrameReader, frameMessage } from '@holdfast/protocols/dns';
import type { ServerAddress } from '../options.ts';

/** A way to one name server, for one question. */
export interface Channel {
  /** Queued until the channel is open. */
  send(message: Buffer): void;
  close(): void;
}

/** Never called by `open` itself, and not after `close`. */
export interface ChannelListener {
  onMessage(bytes: Buffer): void;
  /** The channel is of no use any more. */
  onError(error: unknown): void;
}

export type OpenChannel = (
  protocol: 'udp' | 'tcp',
  server: ServerAddress,
  listener: ChannelListener,
) => Channel;

/** Sockets of the machine. They do not hold the process: a call that waits does so by its deadline. */
export const openChannel: OpenChannel = (protocol, server, listener) =>
  protocol === 'udp' ? openUdp(server, listener) : openTcp(server, listener);

/**
 * A socket of its own for each question: the system gives it a random port, and passes on only what comes from the
 * server's own address and port.
 */
function openUdp({ address, port }: ServerAddress, listener: ChannelListener): Channel {
  const family = address.includes(':') ? 6 : 4;
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    lookup: (host, _options, respond) => respond(null, host, family),
  });
  let queued: Buffer[] | undefined = [];
  let isClosed = false;
  const fail = (error: unknown): void => {
    if (!isClosed) listener.onError(error);
  };
  socket.on('message', (bytes) => {
    if (!isClosed) listener.onMessage(bytes);
  });
  socket.on('error', fail);
  const transmit = (message: Buffer): void => {
    try {
      socket.send(message, (error) => {
        if (error !== null) fail(error);
      });
    } catch (error) {
      process.nextTick(fail, error);
    }
  };
  try {
    socket.connect(port, address, () => {
      for (const message of queued ?? []) transmit(message);
      queued = undefined;
    });
    socket.unref();
  } catch (error) {
    process.nextTick(fail, error);
  }
  return {
    send(message) {
      if (queued === undefined) transmit(message);
      else queued.push(message);
    },
    close() {
      isClosed = true;
      try {
        socket.close();
      } catch {
        // It was never opened.
      }
    },
  };
}

function openTcp({ address, port }: ServerAddress, listener: ChannelListener): Channel {
  const socket = connect({ host: address, port });
  socket.unref();
  socket.on(
    'data',
    createFrameReader((message) => listener.onMessage(message)),
  );
  socket.on('error', (error) => listener.onError(error));
  socket.on('end', () => listener.onError(new Error('the server closed the connection')));
  return {
    send: (message) => void socket.write(frameMessage(message)),
    close() {
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.destroy();
    },
  };
}
