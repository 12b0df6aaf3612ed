import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Server, type Socket, connect } from 'node:net';
import { requireHostFault } from './host-capabilities.ts';

/** With a backlog of one, Linux queues this many connections; a further SYN is not answered. */
const BACKLOG_FILLERS = 2;

/** A listening socket that was returned, and the exit of the process that held it. */
export interface HeldServer {
  readonly server: Server;
  readonly ended: Promise<unknown>;
}

/**
 * Lets connects to a listening socket hang: the socket moves to a process that does not accept, and its backlog is
 * filled. Returns a function that takes the socket back, still listening, so that no connection is lost.
 * @throws HostFaultUnavailableError with the reason
 */
export async function hangConnects(server: Server): Promise<() => Promise<HeldServer>> {
  await requireHostFault('connectHang');
  const address = server.address();
  if (typeof address !== 'object' || address === null) {
    throw new TypeError('hangConnects takes a server that listens on a port');
  }
  const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const main = `${import.meta.dirname}/connect-hang-main.${extension}`;
  // A stopped process would not notice our exit, so the kernel ends it then.
  const keeper = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, main], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ended = once(keeper, 'exit');
  const ready = once(keeper, 'message');
  keeper.send('take', server);
  await Promise.race([ready, ended]);
  server.close();
  keeper.kill('SIGSTOP');
  const ballast: Socket[] = [];
  for (let index = 0; index < BACKLOG_FILLERS; index += 1) {
    const socket = connect({ host: address.address, port: address.port });
    socket.on('error', () => {});
    socket.unref();
    ballast.push(socket);
    await once(socket, 'connect');
  }
  return async () => {
    for (const socket of ballast) socket.destroy();
    const back = once(keeper, 'message');
    keeper.send('give back');
    keeper.kill('SIGCONT');
    const given: unknown = await Promise.race([back, ended]);
    const returned: unknown = Array.isArray(given) ? given[1] : undefined;
    if (returned instanceof Server) return { server: returned, ended };
    throw new TypeError('the listening socket did not come back');
  };
}
