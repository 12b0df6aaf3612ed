/**
 * `node port-forwarder-main.ts <host> <port>`, started in the network of a server: carries the connections of the
 * listening socket that it is handed, which is of another network, to that address in this one. Ends with
 * whoever started it.
 */
import { Server, type Socket, connect } from 'node:net';

const [host = '', port = ''] = process.argv.slice(2);
const sockets = new Set<Socket>();
let listening: Server | undefined;

/** Each way by itself: an end is carried as an end, a loss as a reset. */
function pass(from: Socket, to: Socket): void {
  sockets.add(from);
  from.pipe(to);
  from.on('error', () => void to.resetAndDestroy());
  from.on('close', () => {
    sockets.delete(from);
    if (!to.writableEnded) to.destroy();
  });
}

function carry(client: Socket): void {
  const server = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  client.setNoDelay(true);
  pass(client, server);
  pass(server, client);
}

process.on('message', (word: 'carry' | 'cut', handed: unknown) => {
  if (word === 'cut') {
    listening?.close();
    for (const socket of sockets) socket.resetAndDestroy();
  } else if (handed instanceof Server) {
    // As on a socket that listens where the server does.
    listening = Object.assign(handed, { allowHalfOpen: true });
    listening.on('connection', carry);
  }
  process.send?.(word);
});
process.once('disconnect', () => process.exit());
