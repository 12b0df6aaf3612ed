import type { S3Target } from '../../src/storage/s3-programs.ts';

/**
 * The real S3 that `HOLDFAST_S3_URL` names, such as `http://key:secret@127.0.0.1:7480`; `undefined` without it.
 */
export function targetIn(env: Readonly<Record<string, string | undefined>>): S3Target | undefined {
  const address = env['HOLDFAST_S3_URL'];
  if (address === undefined) return undefined;
  const { origin: url, username, password } = new URL(address);
  const credentials = {
    accessKeyId: decodeURIComponent(username),
    secretAccessKey: decodeURIComponent(password),
  };
  return { url, credentials };
}
