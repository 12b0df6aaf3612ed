import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Server, Socket, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { abortable, environment } from '@holdfast/foundation';
import { compileCache } from '../../system/compile-cache.ts';
import type { Endpoint } from '../../system/endpoint.ts';

/**
 * Forwards connections into another network. This process listens and a process in the other network connects,
 * because a socket belongs to the network in which it was created.
 */
interface PortForwarder {
  /** Listens on the endpoint and forwards its connections. */
  listen(signal: AbortSignal): Promise<void>;
  /** Resets the forwarded connections and stops listening. */
  cut(signal: AbortSignal): Promise<void>;
  end(): Promise<void>;
}

/** @param inside the argument by which nsenter enters the other network. */
export async function startPortForwarder(
  inside: string,
  { host, port }: Endpoint,
  limit: AbortSignal,
): Promise<PortForwarder> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const script = fileURLToPath(new URL(`./port-forwarder-main${extension}`, import.meta.url));
  const child = spawn('nsenter', [inside, process.execPath, script, host, String(port)], {
    detached: true,
    env: compileCache(environment),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  unrefChild(child);
  const ended = once(child, 'exit').then(() => undefined);
  // A message that cannot be sent is noticed by the end of the child.
  child.on('error', () => undefined);
  const request = async (
    verb: 'listen' | 'cut',
    signal: AbortSignal,
    server?: Server,
  ): Promise<void> => {
    const done = once(child, 'message');
    child.send(verb, server);
    const lost = ended.then(() => {
      throw new Error(`the port forwarder of ${host}:${port} has ended`);
    });
    await abortable(Promise.race([done, lost]), signal);
  };
  const forwarder: PortForwarder = {
    async listen(signal) {
      const server = createServer().listen({ host, port, exclusive: true });
      await once(server, 'listening', { signal });
      await request('listen', signal, server);
      server.close();
    },
    cut: (signal) => request('cut', signal),
    async end() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  try {
    await forwarder.listen(limit);
    return forwarder;
  } catch (error) {
    await forwarder.end();
    throw error;
  }
}

/** Lets this process exit before a child, which then ends too. */
export function unrefChild(child: ChildProcess): void {
  child.unref();
  child.channel?.unref();
  for (const stream of child.stdio) if (stream instanceof Socket) stream.unref();
}
