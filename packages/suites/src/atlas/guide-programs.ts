import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

const COMPILE_TIMEOUT_MS = 120_000;

/** Declarations that the guide leaves to its reader, and what stands around a block that is a part of a class. */
interface BlockContext {
  /** A text that only this block has. */
  readonly of: string;
  readonly before: string;
  readonly after?: string;
}

const KNOWN = `
import type { BulkheadStats, CachedValue, CircuitBreaker, ResilienceStack } from '@holdfast/resilience';
import type { LegislativeLayerType, SnapshotData } from '@holdfast/atlas';
import type { IncomingMessage, ServerResponse } from 'node:http';
type Known = [BulkheadStats, CachedValue<1>, CircuitBreaker, ResilienceStack, LegislativeLayerType, SnapshotData, IncomingMessage, ServerResponse];
type FeatureCollection = SnapshotData;
`;

/** A method of the guide returns nothing and yet passes the result on, so that its extractor may return anything. */
const EXTRACTOR =
  'extractor: { extractLayer(state: string, layer: LegislativeLayerType): Promise<any> };';
const API = `
  rateLimiter: { check(client: string): boolean };
  lookupService: { lookup(lat: number, lon: number): Promise<SnapshotData> };
  getClientId(request: IncomingMessage): string;
  sendError(response: ServerResponse, status: number, code: string, message: string): void;`;

const contexts: readonly BlockContext[] = [
  {
    of: 'options.maxRetries; attempt++',
    before: `async function current(this: { ${EXTRACTOR} delay(ms: number): Promise<void> }, state: string, layer: LegislativeLayerType, options: { maxRetries: number; retryDelayMs: number }): Promise<unknown> {`,
    after: 'return undefined; }\nvoid current;',
  },
  { of: 'class BatchOrchestrator', before: `interface BatchOrchestrator { ${EXTRACTOR} }` },
  {
    of: 'attempt <= this.retryAttempts',
    before:
      'declare const url: string, delay: number, lastError: Error;\nclass Current { retryAttempts = 3;',
    after: '}\nvoid Current;',
  },
  {
    of: 'class StateBatchExtractor',
    before:
      'interface StateBatchExtractor { buildQueryUrl(endpoint: string, stateFips?: string): string }',
  },
  {
    of: 'this.rateLimiter.check(clientId)',
    before: `declare const lat: number, lon: number, response: unknown, errorMsg: string;\ninterface Current { ${API} }\nclass Current {`,
    after: '}\nvoid Current;',
  },
  { of: 'class ShadowAtlasAPI', before: `interface ShadowAtlasAPI { ${API} }` },
  { of: 'class IPFSSyncService', before: '' },
];

/** The TypeScript blocks of the guide as modules; only the place that they import from is another. */
export function guidePrograms(guide: string): string[] {
  const blocks = Array.from(
    guide.matchAll(/^```typescript\n(.*?)^```$/gms),
    ([, code = '']) => code,
  );
  return blocks.map((code) => {
    const found = contexts.filter(({ of }) => code.includes(of));
    const [around] = found;
    if (around === undefined || found.length > 1) throw new Error(`no place for ${code}`);
    const renamed = code.replaceAll("'./resilience'", "'@holdfast/resilience'");
    return [KNOWN, around.before, renamed, around.after ?? '', 'export type { Known };'].join('\n');
  });
}

/**
 * Compiles programs against the packages as users do.
 * @param folder in a package that has what they import; it is emptied first and removed afterwards.
 * @returns what the compiler says.
 */
export function compilePrograms(
  root: string,
  folder: string,
  programs: readonly string[],
): string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const names = programs.map((code, at) => {
    const name = `block-${at}.ts`;
    writeFileSync(join(folder, name), code);
    return name;
  });
  const up = (path: string): string => relative(folder, join(root, path)).split(sep).join('/');
  const config = {
    extends: up('tsconfig.base.json'),
    compilerOptions: {
      noEmit: false,
      outDir: './out',
      // The guide relies on these: responses are any, and so is what is caught.
      lib: ['es2024', 'dom'],
      useUnknownInCatchVariables: false,
      // Of a library's own sources, not of its users.
      isolatedDeclarations: false,
      noImplicitReturns: false,
      composite: false,
      declaration: false,
      declarationMap: false,
    },
    files: names,
    references: ['resilience', 'atlas'].map((name) => ({ path: up(`packages/${name}`) })),
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  try {
    const { stdout, error } = spawnSync(
      process.execPath,
      [compiler, '--build', '--pretty', 'false'],
      { cwd: folder, encoding: 'utf8', timeout: COMPILE_TIMEOUT_MS },
    );
    if (error !== undefined) throw error;
    return stdout.split('\n').filter((line) => line !== '');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
