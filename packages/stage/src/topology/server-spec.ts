import type { Readiness } from '../handle/driver.ts';
import type { Endpoint } from '../system/endpoint.ts';
import type { Executable } from '../system/executable.ts';

/** The endpoint of a server, and the one that its clients and peers connect to. */
export interface AdvertisedEndpoint extends Endpoint {
  /** The endpoint of the fault proxy in front of it; its own when it has none. */
  readonly advertised: Endpoint;
}

/** One server, described for every mode. */
export interface ServerSpec {
  /** As the owner of the stage writes it, such as `redis.replicas[0]`. */
  readonly name: string;
  url(endpoint: Endpoint): string;
  /** One protocol exchange; rejects when the server does not answer. */
  probe(endpoint: Endpoint, signal: AbortSignal): Promise<Readiness>;
  /**
   * Configures a server that ran before the stage; called before its first probe, and again while it rejects.
   * Absent when the server needs no configuration.
   */
  configureExisting?(endpoint: Endpoint, signal: AbortSignal): Promise<void>;
  /** The signal that shuts it down. Default SIGTERM. */
  readonly stopSignal?: 'SIGINT';
  /** As a process of this machine. */
  readonly local: {
    /** Where its folder is created. Default: the system's temporary folder. */
    readonly parentDirectory?: string;
    /** What runs it. Default: the executable of its topology. */
    readonly executable?: Executable;
    /** A file in its folder that names the shared memory segment that a crash leaves behind. */
    readonly sharedMemoryFile?: string;
    /** Writes its files into its own empty folder and returns its arguments. */
    prepare(directory: string, endpoint: Endpoint): Promise<readonly string[]>;
    /** Writes the files that it needs only for its first client; called right after its first launch. */
    afterFirstLaunch?(directory: string): void;
  };
  /** Absent when it cannot run as a container. */
  readonly container?: ContainerSpec;
}

export interface ContainerSpec {
  readonly image: string;
  /**
   * The port behind a bridge of its own, which is published at its endpoint; `undefined` for a container in the
   * machine's network, where it listens at its endpoint.
   */
  readonly port: number | undefined;
  readonly command: readonly string[];
  /** Replaces the entrypoint of the image; the command becomes its arguments. */
  readonly entrypoint?: readonly string[];
  /** Replaces the user of the image. */
  readonly user?: string;
  /** Added to the environment of the image. */
  readonly env?: Readonly<Record<string, string>>;
  /** The folder of its data; absent when it has none. */
  readonly data?: string;
  readonly files: readonly { readonly path: string; readonly content: string }[];
}
