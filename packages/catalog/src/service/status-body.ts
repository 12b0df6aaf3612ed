import { propertyOf } from '@holdfast/foundation';
import type { AnswerOrigin, GenerationManifest } from '../catalog.ts';
import type { CatalogHealth, CatalogStatus } from '../serving/served-catalog.ts';
import type { SyncProgress } from '../sync/catalog-sync.ts';
import { type AttemptBody, attemptBody, textOf } from './problem.ts';

/** The status as JSON has it: `null` for what is not there, and errors as code and message. */
export interface StatusBody {
  readonly health: CatalogHealth;
  /** Why it is not `pass`. */
  readonly notes: readonly string[];
  readonly origin: AnswerOrigin | null;
  readonly manifest: GenerationManifest | null;
  readonly sync: SyncProgress | null;
  readonly lastSync: {
    readonly atEpochMs: number;
    readonly durationMs: number;
    readonly error: { readonly code: string | null; readonly message: string } | null;
  } | null;
  readonly attempts: readonly AttemptBody[];
}

export function statusBody(status: CatalogStatus): StatusBody {
  const { health, notes, origin, manifest, sync, lastSync, attempts } = status;
  return {
    health,
    notes,
    origin: origin ?? null,
    manifest: manifest ?? null,
    sync: sync ?? null,
    lastSync:
      lastSync === undefined
        ? null
        : {
            atEpochMs: lastSync.atEpochMs,
            durationMs: lastSync.durationMs,
            error: lastSync.error === undefined ? null : errorBody(lastSync.error),
          },
    attempts: attempts.map(attemptBody),
  };
}

function errorBody(error: unknown): { readonly code: string | null; readonly message: string } {
  const code = propertyOf(error, 'code');
  return { code: typeof code === 'string' ? code : null, message: textOf(error) };
}
