/** Objects in Supabase, S3 or on disk. It refuses to acknowledge a write that a crash could undo. */
export {};
