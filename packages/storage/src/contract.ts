export { type BackendUnderTest, honoursStorageBackendContract } from './contract/backend.ts';
