import { createS3Server } from '@holdfast/emulators';
import { S3Client, CreateBucketCommand } from '@aws-sdk/client-s3';
import type { VerifiedBuild } from '../../src/build/verified-build.ts';
import { verifyBuild } from '../../src/build/verify-build.ts';
import { SiteStoreError } from '../../src/errors.ts';
import type { PublishStamp } from '../../src/publish/publish-stamp.ts';
import type { SiteStore } from '../../src/publish/site-store.ts';
import { createS3SiteStore } from '../../src/publish/s3/s3-store.ts';
import { directoryOf } from '../temporary.ts';

/** A verified build of these files. */
export async function buildOf(files: Readonly<Record<string, string>>): Promise<VerifiedBuild> {
  const verification = await verifyBuild(await directoryOf(files));
  if (verification.kind === 'refused') throw new Error(JSON.stringify(verification.failure));
  return verification.build;
}

/** The site of a version: a page, and a file that names the version too. */
export function siteOf(version: string): Promise<VerifiedBuild> {
  return buildOf({
    'index.html': `<html><link href="/site.css"><body>${version}</body></html>`,
    'site.css': `/* ${version} */`,
    'same.txt': 'as ever',
  });
}

/** A stamp on `main`. */
export function stampOf(order: number, more: Partial<PublishStamp> = {}): PublishStamp {
  return { branch: 'main', commit: `c${order}`, order, run: `run-${order}`, fence: 1n, ...more };
}

/** What a call of a store does instead. */
export interface StoreFault {
  /** The method and the beginning of the key. */
  readonly on: `${'get' | 'put' | 'sizeOf' | 'remove'} ${string}`;
  readonly kind: SiteStoreError['kind'];
  /** The call is applied, and its response is lost. */
  readonly isApplied?: boolean;
  times: number;
}

/** A store that fails as it is told, and counts what is written. */
export function faultyStore(
  store: SiteStore,
): SiteStore & { readonly faults: StoreFault[]; readonly written: string[] } {
  const faults: StoreFault[] = [];
  const written: string[] = [];
  const run = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const fault = faults.find(({ on, times }) => times > 0 && what.startsWith(on));
    if (fault === undefined) return work();
    fault.times -= 1;
    if (fault.isApplied === true) await work();
    throw new SiteStoreError(fault.kind, `${what} failed`);
  };
  return {
    name: store.name,
    faults,
    written,
    get: (key, options) => run(`get ${key}`, () => store.get(key, options)),
    sizeOf: (key, options) => run(`sizeOf ${key}`, () => store.sizeOf(key, options)),
    put: (key, body, ...rest) =>
      run(`put ${key}`, () => {
        written.push(key);
        return store.put(key, body, ...rest);
      }),
    list: (prefix, options) => store.list(prefix, options),
    remove: (keys, options) => run(`remove ${keys[0]}`, () => store.remove(keys, options)),
  };
}

/** A bucket of an S3 server in this process. */
export async function s3Store(): Promise<{ store: SiteStore; close: () => Promise<void> }> {
  const server = await createS3Server();
  const client = new S3Client({
    endpoint: server.url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: server.credentials,
    maxAttempts: 1,
  });
  await client.send(new CreateBucketCommand({ Bucket: 'site' }));
  return {
    store: createS3SiteStore({ client, bucket: 'site' }),
    async close() {
      client.destroy();
      await server.close();
    },
  };
}
