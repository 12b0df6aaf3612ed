/** A publish pipeline: an edit reaches the site whole or not at all, whatever fails on the way. */
export type { BuildFailure, BuildOutcome } from './build/build-outcome.ts';
export { describeBuildFailure } from './build/build-outcome.ts';
export type { BrokenLink } from './build/links.ts';
export { type BuildOptions, type BuildRun, runBuild } from './build/run-build.ts';
export type { BuildWarning, BuiltFile, VerifiedBuild } from './build/verified-build.ts';
export { type BuildExpectations, type Verification, verifyBuild } from './build/verify-build.ts';
export {
  BaseBranchMissingError,
  BuildDirectoryError,
  BuildNotVerifiedError,
  EditRefusedError,
  GitCommandError,
  ModelAnswerCutError,
  ModelApiError,
  ModelBudgetError,
  ModelTimeoutError,
  ReleaseDamagedError,
  ReleaseMissingError,
  SiteStoreError,
  StaleFenceError,
  UnknownSessionError,
} from './errors.ts';
export { type CredentialHolder, createCredentialHolder } from './git/credentials.ts';
export type { GitCredential, GitDeps } from './git/git-command.ts';
export { type CommitSpec, GitWorkspace, type WorkspaceOptions } from './git/git-workspace.ts';
export { type RemoteFailure, type RemoteProbe, probeRemote } from './git/probe-remote.ts';
export { type PushDeps, type PushSpec, pushBranch } from './git/push-branch.ts';
export type { ConflictReport, PushOutcome, PushProgress } from './git/push-outcome.ts';
export type { ClaudeOptions } from './llm/claude-options.ts';
export { type ClaudeModel, createClaudeModel } from './llm/claude-model.ts';
export type {
  EditModel,
  ModelAnswer,
  ModelCallOptions,
  ModelProgress,
  ModelRequest,
} from './llm/edit-model.ts';
export {
  type FrontDoor,
  type FrontDoorOptions,
  type SiteAnswer,
  type SiteRequest,
  createFrontDoor,
} from './publish/front-door.ts';
export { type SiteServer, type SiteServerOptions, serveSite } from './publish/front-door-server.ts';
export { createMemorySiteStore } from './publish/memory-store.ts';
export type { PublishStamp } from './publish/publish-stamp.ts';
export type { PublisherOptions } from './publish/publish-options.ts';
export { type PublishOutcome, type Publisher, createPublisher } from './publish/publisher.ts';
export type { Pointer } from './publish/release.ts';
export type {
  ObjectHeaders,
  RemovalResult,
  SiteStore,
  SiteCallOptions,
  SiteObject,
  SiteCondition,
} from './publish/site-store.ts';
export type { UploadedKey } from './publish/upload.ts';
export {
  type WebsiteOutcome,
  type WebsitePublisher,
  createWebsitePublisher,
} from './publish/website-publisher.ts';
export {
  type PipelineFunctions,
  type PublishPipeline,
  createPublishPipeline,
} from './session/create-pipeline.ts';
export type { EarlierWork, EditInput } from './session/edit-input.ts';
export type { EditOutcome } from './session/edit-run.ts';
export type { PipelineOptions, PublishTarget } from './session/pipeline-options.ts';
export type {
  PipelineEvents,
  SessionLog,
  SessionLogKind,
  EditStage,
} from './session/session-log.ts';
export {
  type ServiceCallOptions,
  type SessionDeadLetter,
  type SessionService,
  type SessionSpec,
  createSessionService,
} from './session/session-service.ts';
export {
  type EditDeadLetter,
  type SessionChange,
  type SessionState,
  SessionStates,
} from './session/session-store.ts';
