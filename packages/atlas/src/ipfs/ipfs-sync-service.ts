import { requireNode } from '@holdfast/foundation';
import { type GatewayStats, type Gateways, createGateways } from '@holdfast/network';
import {
  type HealthState,
  type ResilienceStack,
  createResilienceStack,
} from '@holdfast/resilience';
import type { SnapshotData } from '../atlas.ts';
import { SnapshotInvalidError } from '../errors.ts';
import { checkFeature } from '../geometry/check-feature.ts';
import { BlockFiles } from './block-files.ts';
import { parseCid } from './cid.ts';
import { FileDownload } from './file-download.ts';
import {
  type IPFSSyncOptions,
  type ResolvedSyncOptions,
  parseSyncOptions,
} from './sync-options.ts';

/** Options of one sync. */
export interface SnapshotSyncOptions {
  /** Ends the sync; it rejects with the signal's reason. Blocks that are stored stay. */
  readonly signal?: AbortSignal;
}

/** The most lists of gateways that are kept with their circuits. */
const MAX_LISTS = 16;

/**
 * Fetches snapshots by their CIDs. What is handed over is as its CID says, whichever gateways it came from: each block is
 * verified, a gateway that sent another is left for the next one, and its circuit opens.
 */
export class IPFSSyncService {
  /** The policies around each sync. */
  readonly resilience: ResilienceStack;
  readonly #options: ResolvedSyncOptions;
  readonly #files: BlockFiles | undefined;
  /** In the order of their last use. */
  readonly #lists = new Map<string, Gateways>();
  #isClosed = false;

  /**
   * @param options or the address of one gateway
   * @throws InvalidOptionError
   */
  constructor(options?: string | IPFSSyncOptions) {
    requireNode('IPFSSyncService');
    this.#options = parseSyncOptions(options);
    const { directory, retry, bulkhead, timeoutMs, clock, gateways } = this.#options;
    this.#files = directory === undefined ? undefined : new BlockFiles(directory);
    this.resilience = createResilienceStack({
      name: 'ipfs-sync',
      retry,
      bulkhead,
      timeoutMs,
      clock,
    });
    this.#gatewaysOf(gateways);
  }

  /**
   * The snapshot, from the gateways of the service.
   * @returns `null` when none has it: the work goes on with the last one.
   * @throws CidUnsupportedError for a CID that cannot be verified; the signal's reason
   */
  async syncSnapshot(
    cid: string,
    { signal }: SnapshotSyncOptions = {},
  ): Promise<SnapshotData | null> {
    parseCid(cid);
    return this.resilience.execute(
      'ipfs-gateway',
      (within) => this.#read(cid, this.#options.gateways, within),
      { fallbackValue: null, signal },
    );
  }

  /**
   * The snapshot, from the first of these gateways that has it.
   * @throws CidUnsupportedError, SnapshotInvalidError; GatewaysFailedError when all have failed, and RetryExhaustedError
   * with it when they have several times; the errors of a stack; the signal's reason
   */
  async downloadWithFallback(
    cid: string,
    gateways: readonly string[],
    { signal }: SnapshotSyncOptions = {},
  ): Promise<SnapshotData> {
    parseCid(cid);
    return this.resilience.execute('ipfs-gateway', (within) => this.#read(cid, gateways, within), {
      signal,
    });
  }

  /** Each gateway with its circuit, those of `downloadWithFallback` after those of the service. */
  getGatewayStats(): readonly GatewayStats[] {
    return [...this.#lists.values()].flatMap((list) => list.getStats().gateways);
  }

  /** Whether syncs get through: `critical` also when the circuit of no gateway of the service is closed. */
  getHealthState(): HealthState {
    const own = this.resilience.getHealthState();
    const gateways = this.#gatewaysOf(this.#options.gateways).getStats().gateways;
    const circuits = gateways
      .map(({ circuit }) => circuit)
      .filter(({ state }) => state !== 'closed');
    if (circuits.length === 0) return own;
    const isCritical = own.level === 'critical' || circuits.length === gateways.length;
    return {
      level: isCritical ? 'critical' : 'degraded',
      reasons: [...own.reasons, `${circuits.length} of ${gateways.length} gateways are not asked`],
      circuits,
    };
  }

  /** Refuses later syncs, and ends its connections. Calling it twice does nothing more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.resilience.close();
    await Promise.all([...this.#lists.values()].map((list) => list.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #read(
    cid: string,
    gateways: readonly string[],
    signal: AbortSignal,
  ): Promise<SnapshotData> {
    const file = new FileDownload(cid, {
      gateways: this.#gatewaysOf(gateways),
      files: this.#files,
      options: this.#options,
      signal,
    });
    return snapshotIn(cid, await file.read());
  }

  /** The same list has the same circuits. */
  #gatewaysOf(urls: readonly string[]): Gateways {
    const key = urls.join('\n');
    const known = this.#lists.get(key);
    const { circuitBreaker, blockTimeoutMs, fetch, clock } = this.#options;
    const list =
      known ??
      createGateways({
        gateways: urls,
        circuitBreaker,
        timeoutMs: blockTimeoutMs,
        headTimeoutMs: Math.max(1, Math.floor(blockTimeoutMs / HEAD_SHARE)),
        stallTimeoutMs: Math.max(1, Math.floor(blockTimeoutMs / HEAD_SHARE)),
        clock,
        ...(fetch === undefined ? {} : { fetch }),
      });
    this.#lists.delete(key);
    this.#lists.set(key, list);
    // Made by a call that was on its way when the service closed.
    if (this.#isClosed) void list.close();
    if (this.#lists.size > MAX_LISTS) this.#dropOldest(this.#options.gateways.join('\n'));
    return list;
  }

  #dropOldest(own: string): void {
    for (const [key, list] of this.#lists) {
      if (key === own) continue;
      this.#lists.delete(key);
      // Downloads from it end with its connections, and are tried again.
      void list.close();
      return;
    }
  }
}

/** A gateway that does not answer leaves time for the next two. */
const HEAD_SHARE = 3;

/** @throws SnapshotInvalidError */
function snapshotIn(cid: string, bytes: Uint8Array): SnapshotData {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new SnapshotInvalidError(cid, 'is no JSON', error);
  }
  const { features }: Partial<Record<string, unknown>> = Object(document);
  if (!Array.isArray(features)) throw new SnapshotInvalidError(cid, 'has no list of features');
  return {
    type: 'FeatureCollection',
    features: features.map((given, at) => {
      const checked = checkFeature(given);
      if (checked.kind === 'district') return checked.feature;
      throw new SnapshotInvalidError(cid, `has at ${at} no district: ${checked.reason}`);
    }),
  };
}
