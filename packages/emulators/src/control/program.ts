// Not by its name, which an older Node lacks: what opens a server says so by a type.
import * as nodeModule from 'node:module';
import type { Server } from 'node:net';

/** What each program of the stage is started with: where it listens, and where its settings are kept. */
interface ProgramArguments {
  readonly host: string;
  readonly port: number;
  readonly file: string | undefined;
}

/** `main.ts <host> <port> [<settings file>]`; without words it listens where a container would. */
export function parseArguments(words: readonly string[] = process.argv.slice(2)): ProgramArguments {
  const [host = '0.0.0.0', port = '3000', file] = words;
  return { host, port: Number(port), file };
}

/**
 * Listens, says so, and ends at SIGTERM when the connections are closed.
 * @param release closes those that would stay open; an HTTP server does that by itself.
 */
export function serve(
  name: string,
  server: Server,
  { host, port }: ProgramArguments,
  release: () => void = () => {},
): void {
  server.on('error', (error: NodeJS.ErrnoException) => {
    console.error(`${name} cannot listen on ${host}:${port}: ${error.code}`);
    process.exit(1);
  });
  server.listen({ host, port }, () => {
    const address = server.address();
    const taken = typeof address === 'object' && address !== null ? address.port : port;
    console.log(`${name} listens on ${host}:${taken}`);
    // Now rather than at its end, which may be a crash.
    nodeModule.flushCompileCache();
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      console.log(`${name} ends at ${signal}`);
      server.close(() => process.exit(0));
      release();
    });
  }
}
