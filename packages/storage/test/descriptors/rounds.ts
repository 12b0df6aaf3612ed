/**
 * Breaks uploads and downloads amid their bodies, and prints, as one line of JSON, what stayed open:
 * `node rounds.ts <rounds>`.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readlink, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createFakeClock } from '@holdfast/foundation/testing';
import { nodeFileSystem } from '@holdfast/journal';
import { createS3Server, createSupabaseStorageServer } from '@holdfast/stage';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { createClient } from '@supabase/supabase-js';
import type { BodySource, StorageBackend } from '../../src/backend.ts';
import { s3Backend } from '../../src/backends/s3/backend.ts';
import { supabaseBackend } from '../../src/backends/supabase/backend.ts';
import { BodyDigest, checkedFileSource } from '../../src/journal/checked-file.ts';
import { putOptions } from '../backends/put-options.ts';
import { type Break, type BreakingProxy, openBreakingProxy } from './breaking-proxy.ts';

const BUCKET = 'bucket';
const MIB = 1_048_576;
const AMID_BYTES = 200_000;
/** Longer than any request may last. */
const MINUTE_MS = 60_000;

/** What is printed: by case, and the errors that nobody handled. */
export interface Report {
  readonly report: Readonly<Record<string, unknown>>;
  readonly unhandled: readonly string[];
}

/** What the parts of a round share. */
interface Site {
  readonly backend: StorageBackend;
  readonly proxy: BreakingProxy;
  close(): Promise<void>;
}

const clock = createFakeClock();

async function openS3(): Promise<Site> {
  const server = await createS3Server();
  const { credentials } = server;
  const proxy = await openBreakingProxy(server.url);
  const shared = { region: 'us-east-1', forcePathStyle: true, credentials };
  const client = new S3Client({ ...shared, endpoint: proxy.url });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const large = { largeFromBytes: 5 * MIB, partBytes: 5 * MIB };
  const backend = s3Backend({ client, bucket: BUCKET, ...large, clock });
  const close = async (): Promise<void> => {
    client.destroy();
    await proxy.close();
    await server.close();
  };
  return { backend, proxy, close };
}

async function openSupabase(largeFromBytes: number): Promise<Site> {
  const server = await createSupabaseStorageServer();
  const proxy = await openBreakingProxy(server.url);
  const client = createClient(proxy.url, server.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  await client.storage.createBucket(BUCKET);
  const backend = supabaseBackend({ client, bucket: BUCKET, largeFromBytes, clock });
  const close = async (): Promise<void> => {
    await proxy.close();
    await server.close();
  };
  return { backend, proxy, close };
}

const BREAKS = ['reset', 'stall', 'end', 'early response', 'early response and end'] as const;
const UPLOAD_FAULTS = [...BREAKS, 'abort', 'lost response'] as const;
/** `unread`: its caller never reads; `left`: its caller reads one chunk, and does not say that it was all. */
const DOWNLOAD_FAULTS = ['reset', 'stall', 'end', 'abort', 'unread', 'left'] as const;
type Fault = (typeof UPLOAD_FAULTS)[number] | (typeof DOWNLOAD_FAULTS)[number];

interface Round {
  readonly site: Site;
  readonly key: string;
  readonly fault: Fault;
  readonly isOver: () => boolean;
  readonly file: { readonly path: string; readonly bytes: Buffer };
}

function fileSource({ path, bytes }: Round['file']): BodySource {
  const digest = new BodyDigest();
  digest.update(bytes);
  const { blocks } = digest.finish();
  const damaged = (): Error => new Error('damaged');
  const open = () => nodeFileSystem.open(path, 'read');
  return checkedFileSource(open, { size: bytes.byteLength, blocks }, damaged);
}

/** An upload that is broken off once, amid its body or before its response. */
async function upload({ site, key, fault, file, isOver }: Round): Promise<string> {
  const { proxy, backend } = site;
  const controller = new AbortController();
  const isResponse = fault === 'lost response';
  proxy.plan = {
    how: isResponse ? 'reset' : howOf(fault),
    direction: isResponse ? 'toClient' : 'toServer',
    afterBytes: isResponse ? 1 : AMID_BYTES,
    onReached: () => reached(fault, controller, isOver),
  };
  const { signal } = controller;
  const { kind } = await backend.put(key, fileSource(file), { ...putOptions(file.bytes), signal });
  if (proxy.plan !== undefined) return `${fault}: nothing was broken`;
  return kind === 'ok' ? `${fault}: ok` : 'failed';
}

/** A download whose body is broken off once, or not read to its end. */
async function download({ site, key, fault, isOver }: Round): Promise<string> {
  const { proxy, backend } = site;
  const controller = new AbortController();
  const isBroken = fault !== 'unread' && fault !== 'left';
  if (isBroken) {
    proxy.plan = {
      how: howOf(fault),
      direction: 'toClient',
      afterBytes: AMID_BYTES,
      onReached: () => reached(fault, controller, isOver),
    };
  }
  const got = await backend.get(key, { signal: controller.signal });
  // It broke off before the head had been looked at.
  if (got.kind !== 'ok') return isBroken ? 'failed' : `${fault}: ${got.kind}`;
  if (fault === 'unread') {
    await clock.advance(MINUTE_MS);
    return 'failed';
  }
  const body = got.value.body[Symbol.asyncIterator]();
  try {
    if (fault === 'left') {
      const { done } = await body.next();
      await clock.advance(MINUTE_MS);
      return done === true ? `${fault}: ended` : 'failed';
    }
    while ((await body.next()).done !== true);
  } catch {
    return 'failed';
  }
  return `${fault}: ${proxy.plan === undefined ? 'ok' : 'nothing was broken'}`;
}

/** Where the body was broken: its caller leaves, or the time of the request is over. */
function reached(fault: Fault, caller: AbortController, isOver: () => boolean): void {
  if (fault === 'abort') caller.abort(new Error('its caller has left'));
  else if (fault === 'stall') void passTime(isOver);
}

/** Again and again: what had passed by then may restart the time of the request. */
async function passTime(isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await clock.advance(MINUTE_MS);
    await nextTurn();
  }
}

function howOf(fault: Fault): Break | undefined {
  return BREAKS.find((how) => how === fault);
}

/** What is open: the files of `directory`, removed ones too, and the number of all descriptors. */
async function openNow(directory: string): Promise<{ files: string[]; count: number }> {
  const names = await readdir('/proc/self/fd');
  const links = await Promise.all(
    names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')),
  );
  return { files: links.filter((link) => link.startsWith(directory)), count: names.length };
}

/** The same, once no file is open and no more than `most` descriptors, or after a while. */
async function settled(
  proxy: BreakingProxy,
  directory: string,
  most: number,
): Promise<Awaited<ReturnType<typeof openNow>>> {
  const deadline = AbortSignal.timeout(10_000);
  while (true) {
    // One that was being opened for a call that has ended by now is no leak: the next call would use it.
    proxy.endConnections();
    const open = await openNow(directory);
    if ((open.files.length === 0 && open.count <= most) || deadline.aborted) return open;
    await nextTurn();
  }
}

/** What is open once that has not changed for a while. */
async function unchanging(directory: string): Promise<Awaited<ReturnType<typeof openNow>>> {
  let open = await openNow(directory);
  for (let equal = 0; equal < 5;) {
    await nextTurn();
    const now = await openNow(directory);
    equal = now.count === open.count ? equal + 1 : 0;
    open = now;
  }
  return open;
}

async function play(
  site: Site,
  round: (round: Round) => Promise<string>,
  file: Round['file'],
): Promise<unknown> {
  const stored = await site.backend.put('k', fileSource(file), putOptions(file.bytes));
  if (stored.kind !== 'ok') return stored;
  site.proxy.endConnections();
  const before = await unchanging(directory);
  const faults: readonly Fault[] = round === upload ? UPLOAD_FAULTS : DOWNLOAD_FAULTS;
  const results: Record<string, number> = {};
  let after = before;
  for (let number = 0; number < rounds && after.files.length === 0; number += 1) {
    const fault = faults[number % faults.length] ?? 'reset';
    let isOver = false;
    const result = await round({ site, key: 'k', fault, file, isOver: () => isOver });
    isOver = true;
    results[result] = (results[result] ?? 0) + 1;
    after = await settled(site.proxy, directory, before.count);
    if (after.count > before.count) break;
  }
  return { results, files: after.files, more: Math.max(0, after.count - before.count) };
}

const rounds = Number(process.argv[2] ?? 40);
const unhandled: string[] = [];
for (const name of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(name, (error: unknown) => unhandled.push(`${name}: ${String(error)}`));
}
const directory = await mkdtemp(join(tmpdir(), 'holdfast-descriptors-'));
const small = { path: join(directory, 'small'), bytes: randomBytes(900_000) };
const large = { path: join(directory, 'large'), bytes: randomBytes(5.2 * MIB) };
for (const { path, bytes } of [small, large]) await writeFile(path, bytes);

const cases = [
  ['S3, PutObject', openS3, small, upload],
  ['S3, UploadPart', openS3, large, upload],
  ['S3, download', openS3, small, download],
  ['Supabase, in one request', () => openSupabase(MIB), small, upload],
  ['Supabase, PATCH of TUS', () => openSupabase(MIB / 2), small, upload],
  ['Supabase, download', () => openSupabase(MIB), small, download],
] as const;
const report: Record<string, unknown> = {};
for (const [name, open, file, round] of cases) {
  const site = await open();
  report[name] = await play(site, round, file);
  await site.close();
}
await rm(directory, { recursive: true });
const printed: Report = { report, unhandled };
process.stdout.write(`${JSON.stringify(printed)}\n`);
