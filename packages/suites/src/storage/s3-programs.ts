import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { environment } from '@holdfast/foundation';

/** An S3 that a program of others uses. */
export interface S3Target {
  readonly url: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Runs one program with the environment it needs; resolves with what it printed. */
export type RunProgram = (...parameters: readonly string[]) => Promise<string>;

const run = promisify(execFile);
/** Longer than a restic on a busy machine takes for its key derivation. */
const TIMEOUT_MS = 60_000;

/** The program on PATH, or in one of the usual folders; `undefined` without it. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of [...(environment['PATH'] ?? '').split(delimiter), '/usr/bin']) {
    const path = join(folder, name);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== '' && isThere) return path;
  }
  return undefined;
}

/** A Python with boto3; `undefined` without one. */
export async function findBoto3(): Promise<string | undefined> {
  for (const path of [await findProgram('python3'), '/usr/bin/python3']) {
    if (path === undefined) continue;
    const isThere = await run(path, ['-c', 'import boto3'], { timeout: TIMEOUT_MS }).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}

/** Runs a program against a target; its failure contains what it printed. */
export function programOn(path: string, target: S3Target, directory: string): RunProgram {
  const { url, credentials } = target;
  const rclone = {
    TYPE: 's3',
    PROVIDER: 'Other',
    ENDPOINT: url,
    REGION: 'us-east-1',
    ACCESS_KEY_ID: credentials.accessKeyId,
    SECRET_ACCESS_KEY: credentials.secretAccessKey,
    FORCE_PATH_STYLE: 'true',
  };
  const env = {
    PATH: environment['PATH'],
    HOME: directory,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    RESTIC_PASSWORD: 'restic',
    RESTIC_CACHE_DIR: join(directory, 'restic-cache'),
    RCLONE_CONFIG: join(directory, 'rclone.conf'),
    ...Object.fromEntries(
      Object.entries(rclone).map(([name, value]) => [`RCLONE_CONFIG_T_${name}`, value]),
    ),
  };
  return async (...parameters) => {
    const options = { env, cwd: directory, timeout: TIMEOUT_MS, maxBuffer: 16_777_216 };
    const { stdout } = await run(path, [...parameters], options).catch((error: unknown) => {
      const { stdout: out, stderr: words }: { stdout?: string; stderr?: string } = Object(error);
      throw new Error(`${path} ${parameters.join(' ')}\n${out}${words}`, { cause: error });
    });
    return stdout;
  };
}
