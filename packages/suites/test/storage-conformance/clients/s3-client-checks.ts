import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunProgram, S3Target } from '../../../src/storage/s3-programs.ts';
import { same } from '../s3-world.ts';

/** What a client of others is given: its program, a bucket of its own, and a folder. */
export interface ClientWorld {
  readonly run: RunProgram;
  readonly target: S3Target;
  readonly bucket: string;
  readonly directory: string;
  /** Files: `in/a.txt`, `in/sub/b c.txt`, and `large` of 11 MiB. */
  readonly large: Buffer;
}

interface ClientCheck {
  readonly name: string;
  readonly program: string;
  run(world: ClientWorld): Promise<string>;
}

/** The words of a call that has to fail. */
async function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it succeeded',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

async function isCopied({ directory, large }: ClientWorld, path: string): Promise<boolean> {
  return large.equals(await readFile(join(directory, path)));
}

const rclone: ClientCheck = {
  name: 'rclone copies, verifies, lists, moves and removes',
  program: 'rclone',
  async run(world) {
    const { run, bucket } = world;
    const at = `t:${bucket}`;
    await run('mkdir', at);
    await run('copy', 'in', `${at}/in`);
    await run('check', 'in', `${at}/in`, '--download');
    await run('copyto', 'large', `${at}/large`, '--s3-chunk-size=5Mi', '--s3-upload-cutoff=5Mi');
    await run('moveto', `${at}/large`, `${at}/dir/moved`);
    await run('copyto', `${at}/dir/moved`, 'back');
    const listed: unknown = JSON.parse(await run('lsjson', '-R', '--files-only', at));
    const paths = Array.isArray(listed) ? listed.map((each) => String(Object(each).Path)) : [];
    const absent = await failureOf(run('lsf', `t:${bucket}-absent`));
    await run('purge', at);
    const found = [
      paths.toSorted(),
      await isCopied(world, 'back'),
      /directory not found|NoSuchBucket/.test(absent),
    ];
    return same(found, [['dir/moved', 'in/a.txt', 'in/sub/b c.txt'], true, true]);
  },
};

const s3cmd: ClientCheck = {
  name: 's3cmd puts, gets, lists, copies, syncs and removes',
  program: 's3cmd',
  async run(world) {
    const { run, target, bucket, directory } = world;
    const { host } = new URL(target.url);
    const config = join(directory, 's3cfg');
    const lines = [
      '[default]',
      `access_key = ${target.credentials.accessKeyId}`,
      `secret_key = ${target.credentials.secretAccessKey}`,
      `host_base = ${host}`,
      `host_bucket = ${host}`,
      'use_https = False',
    ];
    await writeFile(config, `${lines.join('\n')}\n`);
    const s3 = (...parameters: string[]): Promise<string> =>
      run('-c', config, '--no-progress', ...parameters);
    const at = `s3://${bucket}`;
    await s3('mb', at);
    await s3('put', '--multipart-chunk-size-mb=5', 'large', `${at}/large`);
    await s3('cp', `${at}/large`, `${at}/copy`);
    await s3('get', `${at}/copy`, 'back');
    await s3('sync', 'in/', `${at}/in/`);
    const listed = await s3('ls', '--recursive', at);
    const paths = [...listed.matchAll(/s3:\/\/[^/]+\/(.+)$/gm)].map(([, path = '']) => path);
    const absent = await failureOf(s3('ls', `${at}-absent`));
    await s3('del', '--recursive', '--force', at);
    await s3('rb', at);
    const found = [
      paths.toSorted(),
      await isCopied(world, 'back'),
      /404 \(NoSuchBucket\)/.test(absent),
    ];
    return same(found, [['copy', 'in/a.txt', 'in/sub/b c.txt', 'large'], true, true]);
  },
};

const aws: ClientCheck = {
  name: 'aws-cli copies, syncs and lists, and reads the code of an error',
  program: 'aws',
  async run(world) {
    const { run, target, bucket } = world;
    const cli = (...parameters: string[]): Promise<string> =>
      run('--endpoint-url', target.url, ...parameters);
    const at = `s3://${bucket}`;
    await cli('s3', 'mb', at);
    await cli(
      's3',
      'sync',
      '--quiet',
      '.',
      at,
      '--exclude',
      '*',
      '--include',
      'in/*',
      '--include',
      'large',
    );
    await cli('s3', 'cp', '--quiet', `${at}/large`, 'back');
    const listed = await cli('s3', 'ls', '--recursive', at);
    // After the date, the time and the size.
    const paths = listed
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^(?:\S+\s+){3}/, ''));
    const absent = await failureOf(
      cli('s3api', 'get-object', '--bucket', bucket, '--key', 'no', 'no'),
    );
    const tags = await failureOf(cli('s3api', 'list-object-versions', '--bucket', bucket));
    await cli('s3', 'rb', '--force', at);
    const isRefused = /NotImplemented|it succeeded/.test(tags);
    const found = [paths, await isCopied(world, 'back'), /\(NoSuchKey\)/.test(absent), isRefused];
    return same(found, [['in/a.txt', 'in/sub/b c.txt', 'large'], true, true, true]);
  },
};

const PYTHON = `
import boto3, io, json, sys, urllib.request
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
url, bucket = sys.argv[1:3]
s3 = boto3.client('s3', endpoint_url=url, config=Config(signature_version='s3v4'))
def code(call, **given):
    try:
        call(**given)
        return 'ok'
    except ClientError as error:
        return error.response['Error']['Code']
s3.create_bucket(Bucket=bucket)
large = open('large', 'rb').read()
parts = TransferConfig(multipart_threshold=5242880, multipart_chunksize=5242880)
s3.upload_file('large', bucket, 'large', Config=parts)
back = io.BytesIO()
s3.download_fileobj(bucket, 'large', back)
for number in range(5):
    s3.put_object(Bucket=bucket, Key='n/%d' % number, Body=b'x', Metadata={'n': str(number)})
pages = s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix='n/', PaginationConfig={'PageSize': 2})
keys = [each['Key'] for page in pages for each in page['Contents']]
post = s3.generate_presigned_post(bucket, 'posted', Conditions=[['content-length-range', 1, 9]])
edge = 'edge'
body = ''.join('--%s\\r\\nContent-Disposition: form-data; name="%s"\\r\\n\\r\\n%s\\r\\n' % (edge, *field) for field in post['fields'].items())
body += '--%s\\r\\nContent-Disposition: form-data; name="file"; filename="f"\\r\\n\\r\\nposted\\r\\n--%s--\\r\\n' % (edge, edge)
request = urllib.request.Request(post['url'], body.encode(), {'Content-Type': 'multipart/form-data; boundary=' + edge})
status = urllib.request.urlopen(request).status
get = s3.generate_presigned_url('get_object', Params={'Bucket': bucket, 'Key': 'posted'})
print(json.dumps([
    back.getvalue() == large, keys, status, urllib.request.urlopen(get).read().decode(),
    code(s3.get_object, Bucket=bucket, Key='none'),
    code(s3.list_objects_v2, Bucket=bucket + '-absent'),
    s3.head_object(Bucket=bucket, Key='n/3')['Metadata'],
    s3.get_bucket_versioning(Bucket=bucket).get('Status'),
]))
every = boto3.resource('s3', endpoint_url=url).Bucket(bucket)
every.objects.all().delete()
every.delete()
`;

const boto3: ClientCheck = {
  name: 'boto3 uploads in parts and by a form, pages, and reads the code of an error',
  program: 'boto3',
  async run({ run, target, bucket }) {
    const found: unknown = JSON.parse(await run('-W', 'ignore', '-c', PYTHON, target.url, bucket));
    const keys = ['n/0', 'n/1', 'n/2', 'n/3', 'n/4'];
    const wanted = [true, keys, 204, 'posted', 'NoSuchKey', 'NoSuchBucket', { n: '3' }, null];
    return same(found, wanted);
  },
};

const restic: ClientCheck = {
  name: 'restic backs up, checks and restores',
  program: 'restic',
  async run(world) {
    const { run, target, bucket, directory } = world;
    const repository = ['-r', `s3:${target.url}/${bucket}`, '--no-cache', '-q'];
    await run(...repository, 'init');
    await run(...repository, 'backup', 'in', 'large');
    await run(...repository, 'check', '--read-data');
    await run(...repository, 'restore', 'latest', '--target', 'restored');
    await run(...repository, 'forget', '--keep-last', '1', '--prune');
    const text = await readFile(join(directory, 'restored/in/sub/b c.txt'), 'utf8');
    return same([text, await isCopied(world, 'restored/large')], ['b', true]);
  },
};

/** Checks of an S3 by the programs that people use. */
export const s3ClientChecks: readonly ClientCheck[] = [rclone, s3cmd, aws, boto3, restic];
