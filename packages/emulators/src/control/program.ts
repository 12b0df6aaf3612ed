import type { IncomingMessage, ServerResponse } from 'node:http';
// A namespace import: an older Node lacks `flushCompileCache`, and must get as far as the check of its version.
import * as nodeModule from 'node:module';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { environment, integer } from '@holdfast/foundation';
import { type ControlOptions, openControlServer } from './control-server.ts';
import { type RequestLog, createRequestLog } from './request-log.ts';

/** The command line of a program: where it listens, and the file of its settings. */
interface ProgramArguments {
  readonly host: string;
  readonly port: number;
  readonly file: string | undefined;
}

/** A server that runs as a process of its own, controlled by the stage over HTTP. */
export interface Program<Settings, Entry> extends ProgramArguments {
  /** The directory of the settings file. */
  readonly directory: string | undefined;
  readonly log: RequestLog<Entry>;
  /** The settings in force. */
  readonly settings: Settings;
  /** Handles a request of the stage; returns false for every other request. */
  handles(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
}

const portRule = integer({ min: 0, max: 65_535 });

/**
 * `main.ts <host> <port> [<settings file>]`; by default it listens as in a container, at `PORT` if that is set.
 * @throws InvalidOptionError for a port that is none.
 */
export function parseArguments(
  values: readonly string[] = process.argv.slice(2),
  env: Readonly<Record<string, string | undefined>> = environment,
): ProgramArguments {
  const usual = env['PORT'] === undefined || env['PORT'] === '' ? '3000' : env['PORT'];
  const [host = '0.0.0.0', port = usual, file] = values;
  const isDigits = /^\d+$/.test(port);
  return { host, port: portRule.parse(isDigits ? Number(port) : port, 'port', 'main'), file };
}

/** Parses the command line and applies the settings of the last run. */
export async function openProgram<Settings, Entry>(
  options: ControlOptions<Settings>,
): Promise<Program<Settings, Entry>> {
  const { host, port, file } = parseArguments();
  const log = createRequestLog<Entry>();
  const control = await openControlServer(options, file, log);
  return {
    host,
    port,
    file,
    directory: file === undefined ? undefined : dirname(file),
    log,
    get settings() {
      return control.settings;
    },
    handles: (incoming, outgoing) => control.handles(incoming, outgoing),
  };
}

/**
 * Listens, and ends at SIGTERM once all connections are closed.
 * @param closeConnections closes those that would stay open; an HTTP server closes its idle connections itself.
 */
export function serve(
  name: string,
  server: Server,
  { host, port }: ProgramArguments,
  closeConnections: () => void = () => {},
): void {
  server.on('error', (error: NodeJS.ErrnoException) => {
    console.error(`${name} cannot listen on ${host}:${port}: ${error.code}`);
    process.exit(1);
  });
  server.listen({ host, port }, () => {
    const address = server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    console.log(`${name} listens on ${host}:${bound}`);
    // Flushed now, because the process may be killed later.
    nodeModule.flushCompileCache();
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      console.log(`${name} ends at ${signal}`);
      server.close(() => process.exit(0));
      closeConnections();
    });
  }
}
