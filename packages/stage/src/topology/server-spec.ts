import type { Clock, Random } from '@holdfast/foundation';
import type { Readiness } from '../handle/readiness.ts';
import type { Watchdog } from '../watchdog/watchdog.ts';

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where a server of an ensemble listens, and where everyone else finds it. */
export interface ServerAddress extends Address {
  /** The address of the fault proxy in front of it; its own where nothing stands there. */
  readonly advertised: Address;
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a stage gives to everything that stands on it. */
export interface StageContext {
  /** Names the stage among all on this machine. */
  readonly id: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly watchdog: Watchdog;
  /** Whether a fault proxy stands in front of each server. */
  readonly link: boolean;
  readonly readyTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly fetchTimeoutMs: number;
  readonly logMaxBytes: number;
  /** The size of the disk that each server is given for itself; absent for the machine's own. */
  readonly diskMaxBytes: number | undefined;
  /** Whether each server has a wall clock of its own. */
  readonly serverClocks: boolean;
  /** Whether each server that stands alone has a network of its own. */
  readonly serverNetworks: boolean;
}

/** A program of this machine and how to run it. */
export interface Executable {
  readonly file: string;
  /** Added to the runner's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Whom it runs as; absent for whom the runner runs as. */
  readonly user?: ProcessUser;
}

/** A user and a group of this machine, by number. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
}

/** One kind of server, described for every mode. */
export interface ServerSpec {
  /** How the stage's owner writes it, such as `redis.replicas[0]`. */
  readonly name: string;
  url(address: Address): string;
  /** One protocol exchange; rejects when nobody answers. */
  probe(address: Address, signal: AbortSignal): Promise<Readiness>;
  /**
   * Tells one that stood before the stage what it is to be on it; before its first probe, again while it
   * rejects. Absent for one that is as its options say in any case.
   */
  configureExisting?(address: Address, signal: AbortSignal): Promise<void>;
  /** What asks it to end in an orderly way. Default SIGTERM. */
  readonly stopSignal?: 'SIGINT';
  /** As a process of this machine. */
  readonly local: {
    /** Where its folder is made. Default: the system's temporary folder. */
    readonly parentDirectory?: string;
    /** A file of its folder that tells which segment of shared memory a crash leaves behind. */
    readonly sharedMemoryFile?: string;
    /** Writes what it needs into its own empty folder and returns its arguments. */
    prepare(directory: string, address: Address): Promise<readonly string[]>;
    /** Writes what it does not need before its first client comes; right after its first launch. */
    afterFirstLaunch?(directory: string): void;
  };
  /** As a container; absent when it cannot be one. */
  readonly container?: ContainerSpec;
}

export interface ContainerSpec {
  readonly image: string;
  /**
   * The port it listens on behind its own bridge, to be published at its address; `undefined` for one in
   * the network of the machine itself, where it listens at its address.
   */
  readonly port: number | undefined;
  readonly command: readonly string[];
  /** Runs instead of what the image would run, with the command as its arguments. */
  readonly entrypoint?: readonly string[];
  /** Whom it runs as; absent for whom the image says. */
  readonly user?: string;
  /** Added to the environment that the image gives. */
  readonly env?: Readonly<Record<string, string>>;
  /** The folder that its data lie in; absent when it has none. */
  readonly data?: string;
  readonly files: readonly { readonly path: string; readonly content: string }[];
}
