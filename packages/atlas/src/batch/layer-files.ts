import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidOptionError, propertyOf } from '@holdfast/foundation';
import type { DistrictFeature, LayerResult } from '../atlas.ts';
import type { ExtractionTask } from './orchestrator-options.ts';

const NAME = /^[\w-]{1,64}$/;

/**
 * Layers as files, one each. A file is put in its place whole or not at all, so that it is itself the record that its
 * task is done.
 */
export class LayerFiles {
  readonly #directory: string;
  #writes = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What an earlier batch has stored; a file that is not whole is as none. */
  async find(task: ExtractionTask): Promise<LayerResult | undefined> {
    let text: string;
    try {
      text = await readFile(this.#pathOf(task), 'utf8');
    } catch (error) {
      if (propertyOf(error, 'code') === 'ENOENT') return undefined;
      throw error;
    }
    return resultIn(text);
  }

  /** @throws the system's own error when it cannot be stored */
  async store(task: ExtractionTask, result: LayerResult): Promise<void> {
    const path = this.#pathOf(task);
    await mkdir(this.#directory, { recursive: true });
    // Another process may write the same layer.
    const draft = `${path}.${process.pid}-${(this.#writes += 1)}.tmp`;
    try {
      const file = await open(draft, 'wx');
      try {
        await file.writeFile(JSON.stringify({ type: 'FeatureCollection', ...result }));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  #pathOf({ state, layer }: ExtractionTask): string {
    const name = `${state}-${layer}`;
    if (!NAME.test(name)) {
      throw new InvalidOptionError('BatchOrchestrator', 'task', name, 'letters, digits, - and _');
    }
    return join(this.#directory, `${name}.geojson`);
  }
}

function resultIn(text: string): LayerResult | undefined {
  let stored: Partial<Record<string, unknown>>;
  try {
    stored = Object(JSON.parse(text));
  } catch {
    return undefined;
  }
  const { success, featureCount, features, rejected } = stored;
  if (success !== true || typeof featureCount !== 'number') return undefined;
  if (features !== undefined && !isListOf(features, featureCount)) return undefined;
  return {
    success,
    featureCount,
    ...(features === undefined ? {} : { features }),
    ...(isCounts(rejected) ? { rejected } : {}),
  };
}

function isListOf(value: unknown, length: number): value is DistrictFeature[] {
  return Array.isArray(value) && value.length === length;
}

function isCounts(value: unknown): value is Record<string, number> {
  return typeof value === 'object' && value !== null;
}
