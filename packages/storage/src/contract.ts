export { type BackendUnderTest, honoursStorageBackendContract } from './contract/backend.ts';
export { type StorageUnderTest, honoursStorageContract } from './contract/storage.ts';
