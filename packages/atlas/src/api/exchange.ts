import type { KeyedRateLimitersStats, StackStats } from '@holdfast/resilience';
import type { LookupResult } from '../lookup/lookup-service.ts';

/** One lookup of one client. */
export interface LookupRequest {
  readonly lat: number;
  readonly lon: number;
  /** Whose limit the lookup counts for, such as an address. */
  readonly clientId: string;
  /** Ends the lookup; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The answer to a lookup. */
export interface LookupResponse {
  readonly status: 200;
  readonly result: LookupResult;
  /** From an earlier lookup of this position, because this one has failed. */
  readonly stale: boolean;
  /** How old a stale answer is; 0 for others. */
  readonly ageMs: number;
}

/** Numbers of the API, read at any time. */
export interface ShadowAtlasStats {
  readonly stack: StackStats;
  readonly clients: KeyedRateLimitersStats;
  readonly staleAnswers: number;
  /** Positions whose answers are kept. */
  readonly snapshots: number;
}
