import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageOf } from '../../images.ts';
import { compileCache } from '../../system/compile-cache.ts';
import type {
  Address,
  ContainerSpec,
  Environment,
  Executable,
  ServerSpec,
} from '../../topology/server-spec.ts';
import { type EmulatorProgram, programFiles, programUrl } from '@holdfast/emulators/programs';

/** A server of `@holdfast/emulators`, run by Node. */
export interface NodeServer {
  readonly name: string;
  readonly program: EmulatorProgram;
  /** What it is started with, as JSON; it writes later changes over it. */
  readonly settings: unknown;
  /** As a container: behind a bridge of its own, or in the network of the machine. */
  readonly network: 'bridge' | 'machine';
  url(address: Address): string;
  /** One exchange in the protocol of its clients; rejects when nobody answers. */
  probe(address: Address, signal: AbortSignal): Promise<void>;
  /** Brings one that stood before the stage to `settings`. */
  adopt?(address: Address, signal: AbortSignal): Promise<void>;
}

const SETTINGS = 'settings.json';
const CONTAINER_FOLDER = '/holdfast';
const CONTAINER_PORT = 3_000;
const FLAGS = ['--disable-warning=ExperimentalWarning'];

/** The Node that runs the stage runs its programs. */
export function locateNode(): Promise<Executable> {
  // Nothing of the runner's own: no debugger, no hooks.
  const env = { NODE_OPTIONS: '', ...compileCache(process.env) };
  return Promise.resolve({ file: process.execPath, env });
}

export function nodeServer(server: NodeServer, address: Address, env: Environment): ServerSpec {
  const { name, settings, network } = server;
  const main = programUrl(server.program);
  return {
    name,
    url: (at) => server.url(at),
    async probe(at, signal) {
      await server.probe(at, signal);
      return 'ready';
    },
    async configureExisting(at, signal) {
      await server.adopt?.(at, signal);
    },
    local: {
      async prepare(directory, { host, port }) {
        const file = join(directory, SETTINGS);
        await writeFile(file, JSON.stringify(settings));
        return [...FLAGS, fileURLToPath(main), host, String(port), file];
      },
    },
    get container(): ContainerSpec {
      const program = programFiles(main, CONTAINER_FOLDER);
      const file = `${CONTAINER_FOLDER}/${SETTINGS}`;
      const own = network === 'bridge' ? { host: '0.0.0.0', port: CONTAINER_PORT } : address;
      return {
        image: imageOf('node', env),
        port: network === 'bridge' ? CONTAINER_PORT : undefined,
        command: ['node', ...FLAGS, program.main, own.host, String(own.port), file],
        files: [{ path: file, content: JSON.stringify(settings) }, ...program.files],
      };
    },
  };
}
