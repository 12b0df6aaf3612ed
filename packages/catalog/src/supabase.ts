/** Generations in a Supabase, through PostgREST. */
export type { SupabaseFetch, SupabaseGenerationsOptions } from './generations/supabase/options.ts';
export { supabaseSchemaSql } from './generations/supabase/schema.ts';
export { createSupabaseGenerations } from './generations/supabase/supabase-generations.ts';
export type { TablesOptions } from './generations/tables.ts';
