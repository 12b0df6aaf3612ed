/** The service as a whole: watched, degraded, healed, scaled, backed up and recovered. */
export type { DurableRunner } from './durable/durable.ts';
