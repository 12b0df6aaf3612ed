/** Objects in Supabase, S3 or on disk. It refuses to acknowledge a write that a crash could undo. */
export { type DiskBackendOptions, diskBackend } from './backends/disk.ts';
export { type S3BackendOptions, s3Backend } from './backends/s3/backend.ts';
export { supabaseBackend } from './backends/supabase/backend.ts';
export type { SupabaseBackendOptions, SupabaseTuning } from './backends/supabase/options.ts';
