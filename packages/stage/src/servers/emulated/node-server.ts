import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type EmulatorProgram, programFiles, programUrl } from '@holdfast/emulators/programs';
import { environment } from '@holdfast/foundation';
import { imageOf } from '../../images.ts';
import { compileCache } from '../../system/compile-cache.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment, Executable } from '../../system/executable.ts';
import type { ContainerSpec, ServerSpec } from '../../topology/server-spec.ts';

/** A program of `@holdfast/emulators`, run by Node. */
export interface NodeServer {
  readonly name: string;
  readonly program: EmulatorProgram;
  /** What it is started with, as JSON; it overwrites them with later changes. */
  readonly settings: unknown;
  /** Its container has a bridge of its own, or shares the machine's network. Default `bridge`. */
  readonly network?: 'bridge' | 'machine';
  /** Of its URL. */
  readonly scheme: string;
  /** The container that has its role, when that is another program. */
  readonly container?: ContainerSpec;
  /** One exchange in the protocol of its clients; rejects when it does not answer. */
  probe(endpoint: Endpoint, signal: AbortSignal): Promise<unknown>;
}

const SETTINGS = 'settings.json';
const CONTAINER_FOLDER = '/holdfast';
const CONTAINER_PORT = 3_000;
const FLAGS = ['--disable-warning=ExperimentalWarning'];

/** The Node that runs this process runs the emulators too. */
export async function locateNode(): Promise<Executable> {
  // Without the NODE_OPTIONS of this process: no debugger, no hooks.
  return { file: process.execPath, env: { NODE_OPTIONS: '', ...compileCache(environment) } };
}

export function nodeServer(server: NodeServer, endpoint: Endpoint, env: Environment): ServerSpec {
  const { name, settings, network = 'bridge' } = server;
  const main = programUrl(server.program);
  return {
    name,
    url: ({ host, port }) => `${server.scheme}://${host}:${port}`,
    async probe(at, signal) {
      await server.probe(at, signal);
      return 'ready';
    },
    local: {
      async prepare(directory, { host, port }) {
        const file = join(directory, SETTINGS);
        await writeFile(file, JSON.stringify(settings));
        return [...FLAGS, fileURLToPath(main), host, String(port), file];
      },
    },
    get container(): ContainerSpec {
      if (server.container !== undefined) return server.container;
      const program = programFiles(main, CONTAINER_FOLDER);
      const file = `${CONTAINER_FOLDER}/${SETTINGS}`;
      const isBridged = network === 'bridge';
      const listen = isBridged ? { host: '0.0.0.0', port: CONTAINER_PORT } : endpoint;
      return {
        image: imageOf('node', env),
        port: isBridged ? CONTAINER_PORT : undefined,
        command: ['node', ...FLAGS, program.main, listen.host, String(listen.port), file],
        files: [{ path: file, content: JSON.stringify(settings) }, ...program.files],
      };
    },
  };
}
