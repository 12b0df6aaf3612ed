import type { StageMode } from '@holdfast/stage';
import { type CatalogMeasured, type CatalogPlan, catalogScenario } from './catalog-scenario.ts';

/** Of a run whose count a flag has raised. */
const LONGEST_MS = 900_000;

/** Runs one row of the table of `catalog-sync`, and records it. */
export function scenario(
  mode: () => StageMode,
  plan: CatalogPlan,
  run: () => Promise<CatalogMeasured>,
): void {
  catalogScenario('catalog-sync', mode, plan, run, LONGEST_MS);
}
