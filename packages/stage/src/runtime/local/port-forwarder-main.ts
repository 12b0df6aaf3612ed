/**
 * `node port-forwarder-main.ts <host> <port>`, started in the network of a server: forwards the connections of a
 * listening socket, which it receives from another network, to that endpoint in its own. Ends with its parent.
 */
import { Server, type Socket, connect } from 'node:net';

const [host = '', port = ''] = process.argv.slice(2);
const sockets = new Set<Socket>();
let listening: Server | undefined;

/** Forwards one direction: an end as an end, an error as a reset. */
function pass(from: Socket, to: Socket): void {
  sockets.add(from);
  from.pipe(to);
  from.on('error', () => void to.resetAndDestroy());
  from.on('close', () => {
    sockets.delete(from);
    if (!to.writableEnded) to.destroy();
  });
}

function forward(client: Socket): void {
  const server = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  client.setNoDelay(true);
  pass(client, server);
  pass(server, client);
}

process.on('message', (verb: 'listen' | 'cut', server: unknown) => {
  if (verb === 'cut') {
    listening?.close();
    for (const socket of sockets) socket.resetAndDestroy();
  } else if (server instanceof Server) {
    // As on a socket that was opened in this process.
    listening = Object.assign(server, { allowHalfOpen: true });
    listening.on('connection', forward);
  }
  process.send?.(verb);
});
process.once('disconnect', () => process.exit());
