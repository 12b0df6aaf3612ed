import { describe } from '@jest/globals';
import { honoursStorageBackendContract } from '../../src/contract.ts';
import { openS3, openSupabase } from './servers.ts';

describe('the Supabase backend', () => {
  honoursStorageBackendContract(() => openSupabase());
});

describe('the S3 backend', () => {
  honoursStorageBackendContract(() => openS3());
});
