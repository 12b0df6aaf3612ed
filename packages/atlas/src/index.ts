/** District boundaries: extracted in batches, looked up by latitude and longitude, synced by content. */
export {
  type ChaosInjector,
  type DistrictFeature,
  type DistrictGeometry,
  type LayerExtractor,
  type LayerResult,
  type LegislativeLayerType,
  type PolygonRings,
  type Position,
  type Ring,
  type SnapshotData,
  legislativeLayers,
} from './atlas.ts';
export {
  CidUnsupportedError,
  CoordinatesInvalidError,
  EndpointUnknownError,
  LayerIncompleteError,
  LayerTooLargeError,
  LookupFailedError,
  PortalPageInvalidError,
  PortalResponseError,
  ServiceDegradedError,
  SnapshotInvalidError,
  TaskNotExtractedError,
} from './errors.ts';
export {
  type CheckedFeature,
  type RejectionReason,
  checkFeature,
} from './geometry/check-feature.ts';
export {
  type BoundingBox,
  DistrictIndex,
  type FoundDistrict,
  type IndexedDistrict,
} from './lookup/district-index.ts';
export {
  type DistrictLayer,
  type DistrictMatch,
  type LookupResult,
  type LookupService,
  createLookupService,
} from './lookup/lookup-service.ts';
export type {
  PortalFetch,
  StateBatchExtractorOptions,
  StateEndpoints,
} from './extraction/extractor-options.ts';
export { type ExtractedLayer, StateBatchExtractor } from './extraction/state-batch-extractor.ts';
export {
  BatchOrchestrator,
  type BatchReport,
  type BatchRunOptions,
  type TaskOutcome,
} from './batch/batch-orchestrator.ts';
export {
  type EnqueueTasksOptions,
  type WorkTasksOptions,
  enqueueTasks,
  workTasks,
} from './batch/distributed.ts';
export type { BatchOrchestratorOptions, ExtractionTask } from './batch/orchestrator-options.ts';
export { type BatchProgress, createProgressBar, formatProgress } from './batch/progress-bar.ts';
export { IPFSSyncService, type SnapshotSyncOptions } from './ipfs/ipfs-sync-service.ts';
export type { IPFSSyncOptions } from './ipfs/sync-options.ts';
