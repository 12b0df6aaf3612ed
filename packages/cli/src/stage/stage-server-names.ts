import type { StageOptions } from '@holdfast/stage';
import { CommandUsageError } from '../errors.ts';

/** What `stage up` takes. */
export const STAGE_SERVER_NAMES = [
  'redis',
  'redis-sentinel',
  'redis-cluster',
  'postgres',
  'postgres-replica',
  's3',
  'supabase',
] as const;

export type StageServerName = (typeof STAGE_SERVER_NAMES)[number];

/** What is opened for each. */
export const stageOptions: Readonly<Record<StageServerName, StageOptions>> = {
  redis: { redis: true },
  'redis-sentinel': { redis: 'sentinel' },
  'redis-cluster': { redis: 'cluster' },
  postgres: { postgres: true },
  'postgres-replica': { postgres: 'replica' },
  s3: { s3: true },
  supabase: { supabase: true },
};

/** Without words of the user. */
export const DEFAULT_SERVERS: readonly StageServerName[] = ['redis', 'postgres', 's3'];

/** @throws CommandUsageError for two that exclude each other, such as `redis` and `redis-cluster` */
export function checkServers(names: readonly StageServerName[]): void {
  const byOption = new Map<string, StageServerName>();
  for (const name of names) {
    const option = Object.keys(stageOptions[name])[0] ?? name;
    const other = byOption.get(option);
    if (other !== undefined && other !== name) {
      throw new CommandUsageError(`'${other}' and '${name}' exclude each other`, 'Leave one out');
    }
    byOption.set(option, name);
  }
}
