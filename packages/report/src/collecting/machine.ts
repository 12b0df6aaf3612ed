import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { environment, propertyOf } from '@holdfast/foundation';
import type { RunEnvironment, ScenarioRecord } from '../report.ts';

const GIT_TIMEOUT_MS = 5_000;
const COMMIT_DIGITS = 12;

/** The clients whose versions a report names when the root of the run has installed them. */
const clients = [
  '@aws-sdk/client-s3',
  '@supabase/supabase-js',
  'bullmq',
  'ioredis',
  'pg',
  'postgres',
  'redis',
  'undici',
];

/** Describes this machine, the commit, and the servers and clients of the scenarios. */
export function describeEnvironment(
  rootDirectory: string,
  scenarios: readonly ScenarioRecord[],
): RunEnvironment {
  const [first] = cpus();
  const commit = commitOf(rootDirectory);
  return {
    os: `${type()} ${release()} ${arch()}`,
    cpu: `${first?.model.trim() ?? 'unknown'}, ${cpus().length} cores`,
    memoryBytes: totalmem(),
    ...(commit === undefined ? {} : { commit }),
    versions: Object.assign(
      clientVersions(rootDirectory),
      ...scenarios.map(({ versions }) => versions ?? {}),
    ),
  };
}

/** CI tells the commit even where there is no git. */
function commitOf(rootDirectory: string): string | undefined {
  const announced = environment['GITHUB_SHA'] ?? environment['CI_COMMIT_SHA'];
  const { stdout } =
    announced === undefined
      ? spawnSync('git', ['rev-parse', 'HEAD'], {
          cwd: rootDirectory,
          encoding: 'utf8',
          timeout: GIT_TIMEOUT_MS,
          stdio: ['ignore', 'pipe', 'ignore'],
        })
      : { stdout: announced };
  const commit = /^[0-9a-f]{12,64}(?=\s*$)/.exec(stdout ?? '')?.[0];
  return commit?.slice(0, COMMIT_DIGITS);
}

function clientVersions(rootDirectory: string): Record<string, string> {
  const found = clients.flatMap((name) => {
    try {
      const manifest = readFileSync(
        join(rootDirectory, 'node_modules', name, 'package.json'),
        'utf8',
      );
      return [[name, String(propertyOf(JSON.parse(manifest), 'version'))]];
    } catch {
      return [];
    }
  });
  return Object.fromEntries(found);
}
