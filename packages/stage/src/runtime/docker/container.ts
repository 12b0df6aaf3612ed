import type { Address, ContainerSpec } from '../../topology/server-spec.ts';

export interface ContainerOptions {
  readonly address: Address;
  readonly labels: Readonly<Record<string, string>>;
  /** How much of what it prints the engine keeps at least, in bytes. */
  readonly logMaxBytes: number;
  /** Folders of this machine that it finds in its own. */
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
}

/** The engine throws away whole files: two of this size keep at least one full of text. */
const LOG_FILES = '2';

/** Creates and starts a container, and resolves with its id. Its first answer is not waited for. */
export async function startContainer(
  container: ContainerSpec,
  { address, labels, logMaxBytes, mounts }: ContainerOptions,
): Promise<string> {
  // Only here: whoever stands on local processes never loads it.
  const { GenericContainer, StartupCheckStrategy } = await import('testcontainers');

  /** Publishes on loopback alone, which Testcontainers has no word for. */
  class LoopbackContainer extends GenericContainer {
    listenOn(port: number | undefined): this {
      if (port === undefined) {
        this.withNetworkMode('host');
      } else {
        this.withExposedPorts({ container: port, host: address.port });
        this.hostConfig.PortBindings = {
          [`${port}/tcp`]: [{ HostIp: address.host, HostPort: String(address.port) }],
        };
      }
      this.hostConfig.LogConfig = {
        Type: 'json-file',
        Config: { 'max-size': String(logMaxBytes), 'max-file': LOG_FILES },
      };
      return this;
    }
  }

  /** Readiness is the stage's affair, by the server's own protocol. */
  class Unhurried extends StartupCheckStrategy {
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
    // No Ryuk, which is one more image to pull: the stage's watchdog cleans up.
    .withAutoCleanup(false)
    .withWaitStrategy(new Unhurried())
    .start();
  return started.getId();
}
