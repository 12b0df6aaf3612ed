import type { Clock } from '@holdfast/foundation';
import type { GenerationManifest } from '../catalog.ts';
import type { createCatalogService } from '../service/create-catalog-service.ts';
import type { Catalog } from '../serving/served-catalog.ts';
import type { CatalogSync } from '../sync/catalog-sync.ts';
import type { Invocation } from './configuration.ts';
import type { TerminalStream } from './terminal.ts';

/** What the configuration names, opened; nothing connects before it is used. */
export interface OpenedTiers {
  /** `undefined` without a key of the API. */
  readonly sync: CatalogSync | undefined;
  /** The stores and the backup. */
  readonly manifests: readonly {
    readonly tier: string;
    readonly read: (signal: AbortSignal) => Promise<GenerationManifest | undefined>;
  }[];
  /** The age from which a generation is stale. */
  readonly ttlMs: number;
  /** The caller closes it. @param canSync whether it asks the API, too. */
  openCatalog(canSync: boolean): Catalog;
  /** @throws CatalogUsageError when a package is not installed */
  loadService(): Promise<typeof createCatalogService>;
  close(): Promise<void>;
}

/** What a command works with. */
export interface CommandContext {
  readonly invocation: Invocation;
  readonly tiers: OpenedTiers;
  readonly stdout: TerminalStream;
  readonly stderr: TerminalStream;
  /** Aborted with an {@link Interruption}, after which the command closes all and ends. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** By a signal of the system. */
export class Interruption extends Error {
  readonly exitCode: number;

  constructor(name: string, number: number) {
    super(`interrupted by ${name}`);
    this.exitCode = 128 + number;
  }
}
