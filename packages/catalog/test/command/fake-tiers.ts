import { createCatalogService } from '@holdfast/catalog/service';
import { type Clock, HoldfastError, createEmitter } from '@holdfast/foundation';
import type { Invocation } from '../../src/command/configuration.ts';
import type { OpenedTiers } from '../../src/command/context.ts';
import { runCommand } from '../../src/command/run-command.ts';
import type { TerminalStream } from '../../src/command/terminal.ts';
import {
  type Catalog,
  type ServedCatalogEvents,
  servedCatalogEventKinds,
} from '../../src/serving/served-catalog.ts';
import type { CatalogSync, SyncOutcome } from '../../src/sync/catalog-sync.ts';
import { realisticBundles } from '../search/bundles.ts';
import { createFakeCatalog } from '../service/fake-catalog.ts';

export class LockedError extends HoldfastError {
  readonly code = 'CATALOG_LOCKED';
}

/** What is written, and how wide the terminal is. */
export class Screen implements TerminalStream {
  text = '';
  isTTY: boolean;
  columns: number;

  constructor(columns = 0) {
    this.isTTY = columns > 0;
    this.columns = columns;
  }

  write(text: string): void {
    this.text += text;
  }
}

export function outcomeOf(changes: Partial<SyncOutcome> = {}): SyncOutcome {
  return {
    manifest: {
      generation: 4,
      token: 9,
      rows: 5_148,
      syncedAtEpochMs: 1_699_999_000_000,
      complete: true,
      groups: [{ name: 'Standard Fixed', rows: 5_148, generation: 4 }],
    },
    index: {
      rows: 0,
      bytes: 0,
      search: () => ({ total: 0, rows: [], facets: {} }),
      find: () => undefined,
      close() {},
    },
    published: ['redis', 'backup'],
    failed: [],
    keptGroups: [],
    rejections: [],
    pages: 104,
    reusedPages: 100,
    durationMs: 12_300,
    ...changes,
  };
}

export interface FakeTiers extends OpenedTiers {
  readonly fake: ReturnType<typeof createFakeCatalog>;
  readonly emit: ReturnType<typeof createEmitter<ServedCatalogEvents>>['emit'];
  /** What was closed. */
  readonly closed: string[];
}

export function fakeTiers(
  runSync?: CatalogSync['run'],
  manifests: OpenedTiers['manifests'] = [],
): FakeTiers {
  const fake = createFakeCatalog(realisticBundles(60, 2));
  const emitter = createEmitter<ServedCatalogEvents>('test', servedCatalogEventKinds);
  const closed: string[] = [];
  const catalog: Catalog = {
    ...fake,
    on: emitter.on,
    async refresh() {
      return { source: 'cache', generation: 1, ageMs: 0, stale: false, complete: true };
    },
    sync: async () => outcomeOf(),
    async close() {
      closed.push('catalog');
    },
    async [Symbol.asyncDispose]() {},
  };
  return {
    sync: runSync === undefined ? undefined : { run: runSync, close: async () => {} },
    manifests,
    ttlMs: 30 * 86_400_000,
    openCatalog: () => catalog,
    loadService: async () => createCatalogService,
    async close() {
      closed.push('tiers');
    },
    fake,
    emit: (kind, event) => emitter.emit(kind, event),
    closed,
  };
}

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function run(
  args: readonly string[],
  given: {
    readonly tiers?: OpenedTiers;
    readonly columns?: number;
    readonly clock: Clock;
    readonly signal?: AbortSignal;
    readonly variables?: Readonly<Record<string, string>>;
    readonly onOpen?: (invocation: Invocation) => void;
    readonly screens?: { readonly out: Screen; readonly err: Screen };
  },
): Promise<Run> {
  const { out, err } = given.screens ?? {
    out: new Screen(given.columns),
    err: new Screen(given.columns),
  };
  const code = await runCommand({
    args,
    variables: given.variables ?? {},
    stdout: out,
    stderr: err,
    clock: given.clock,
    signal: given.signal ?? new AbortController().signal,
    openTiers: async (invocation) => {
      given.onOpen?.(invocation);
      return given.tiers ?? fakeTiers();
    },
  });
  return { code, out: out.text, err: err.text };
}
