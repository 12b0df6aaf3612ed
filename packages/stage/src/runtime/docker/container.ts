import { environment } from '@holdfast/foundation';
import type { EngineAddress } from '../../system/container-engine.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { ContainerSpec } from '../../topology/server-spec.ts';
import { dockerHostOf } from '../container/engine-candidates.ts';

interface ContainerOptions {
  readonly engine: EngineAddress;
  readonly endpoint: Endpoint;
  readonly labels: Readonly<Record<string, string>>;
  /** How much of its output the engine keeps at least, in bytes. */
  readonly logMaxBytes: number;
  /** Folders of this machine that are mounted in it. */
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
}

/** The engine discards whole log files: two files of `logMaxBytes` always hold at least that much. */
const LOG_FILES = '2';

/** Creates and starts a container, and resolves with its id, without waiting for its first answer. */
export async function startContainer(
  container: ContainerSpec,
  { engine, endpoint, labels, logMaxBytes, mounts }: ContainerOptions,
): Promise<string> {
  // Imported here, so that a stage on local processes never loads it.
  const { GenericContainer, StartupCheckStrategy, getContainerRuntimeClient } =
    await import('testcontainers');
  await connectTo(engine, getContainerRuntimeClient);

  /** Publishes on loopback alone, for which Testcontainers has no option. */
  class LoopbackContainer extends GenericContainer {
    listenOn(port: number | undefined): this {
      if (port === undefined) {
        this.withNetworkMode('host');
      } else {
        this.withExposedPorts({ container: port, host: endpoint.port });
        this.hostConfig.PortBindings = {
          [`${port}/tcp`]: [{ HostIp: endpoint.host, HostPort: String(endpoint.port) }],
        };
      }
      this.hostConfig.LogConfig = {
        Type: 'json-file',
        Config: { 'max-size': String(logMaxBytes), 'max-file': LOG_FILES },
      };
      return this;
    }
  }

  /** The stage waits for readiness itself, by the server's own protocol. */
  class NoWait extends StartupCheckStrategy {
    override checkStartupState(): Promise<'SUCCESS'> {
      return Promise.resolve('SUCCESS');
    }
  }

  const { image, port, command, files, entrypoint, user, env = {} } = container;
  const created = new LoopbackContainer(image).listenOn(port).withEnvironment({ ...env });
  if (entrypoint !== undefined) created.withEntrypoint([...entrypoint]);
  if (user !== undefined) created.withUser(user);
  const started = await created
    .withCommand([...command])
    .withCopyContentToContainer(files.map(({ path, content }) => ({ target: path, content })))
    .withBindMounts([...mounts])
    .withLabels({ ...labels })
    // Without Ryuk, which is one more image to pull: the stage's watchdog cleans up.
    .withAutoCleanup(false)
    .withWaitStrategy(new NoWait())
    .start();
  return started.getId();
}

/** Testcontainers looks for an engine once in a process. */
let connection: Promise<unknown> | undefined;

/** Has Testcontainers use the engine that the stage has found: it knows no contexts of the Docker CLI. */
function connectTo(
  engine: EngineAddress,
  getContainerRuntimeClient: () => Promise<unknown>,
): Promise<unknown> {
  const connect = async (): Promise<void> => {
    const given = environment['DOCKER_HOST'];
    environment['DOCKER_HOST'] = dockerHostOf(engine);
    try {
      await getContainerRuntimeClient();
    } catch (error) {
      connection = undefined;
      throw error;
    } finally {
      if (given === undefined) delete environment['DOCKER_HOST'];
      else environment['DOCKER_HOST'] = given;
    }
  };
  return (connection ??= connect());
}
