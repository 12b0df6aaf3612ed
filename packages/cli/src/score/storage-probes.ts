import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { type Clock, sleep } from '@holdfast/foundation';
import { type ServerHandle, openStage } from '@holdfast/stage';
import { DemoLedger } from '../demo/ledger.ts';
import { type Check, type ProbeSpec, check } from './check.ts';
import { OfferedLoad } from './offered-load.ts';
import type { ProbeWorld } from './queue-probes.ts';
import type { OpenScoredStorage } from './scored-module.ts';

interface StorageFault extends ProbeSpec {
  readonly lastsMs: number;
  inject(s3: ServerHandle): Promise<void>;
  recover(s3: ServerHandle): Promise<void>;
}

/** What was seen of the objects of one fault. */
interface StorageOutcome {
  readonly accepted: number;
  readonly lost: number;
  readonly isRead: boolean;
  readonly away: OfferedLoad['away'];
}

const [LOST_POINTS, AWAY_POINTS, READ_POINTS] = [6, 2, 2];
const POINTS = LOST_POINTS + AWAY_POINTS + READ_POINTS;
const BUCKET = 'scored';
const OBJECTS_PER_SECOND = 30;
const BEFORE_MS = 800;
const AFTER_MS = 800;
const SETTLES_WITHIN_MS = 10_000;
const POLL_MS = 200;
const CLOSES_WITHIN_MS = 3_000;
const MOST = 0.9;

const nothing = (): Promise<void> => Promise.resolve();

export const storageFaults: readonly StorageFault[] = [
  {
    name: 'a sound S3',
    points: POINTS - AWAY_POINTS,
    lastsMs: 0,
    inject: nothing,
    recover: nothing,
  },
  {
    name: 'S3 killed under load, back after 1.5 s',
    points: POINTS,
    lastsMs: 1_500,
    inject: (s3) => s3.kill(),
    recover: (s3) => s3.start(),
  },
  {
    name: 'S3 frozen under load for 2 s',
    points: POINTS,
    lastsMs: 2_000,
    inject: (s3) => s3.freeze(),
    recover: (s3) => s3.thaw(),
  },
];

/** Runs a storage through one fault of an S3 of its own; what counts in the end is what is on that server. */
export async function probeStorage(
  fault: StorageFault,
  open: OpenScoredStorage,
  { mode, directory, clock }: ProbeWorld,
): Promise<Check[]> {
  const stage = await openStage({ ...(mode === undefined ? {} : { mode }), s3: true });
  const { s3 } = stage;
  const reader = new S3Client({
    endpoint: s3.url,
    region: s3.region,
    credentials: s3.credentials,
    forcePathStyle: true,
  });
  try {
    await reader.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const storage = await open({
      endpoint: s3.url,
      region: s3.region,
      bucket: BUCKET,
      directory,
      ...s3.credentials,
    });
    const ledger = new DemoLedger();
    let isAway = false;
    const load = new OfferedLoad({
      ledger,
      clock,
      perSecond: OBJECTS_PER_SECOND,
      handOver: (number) => storage.upload(pathOf(number), bodyOf(number)),
      isAway: () => isAway,
    });
    await sleep(clock, BEFORE_MS);
    if (fault.lastsMs > 0) {
      await fault.inject(s3);
      isAway = true;
      await sleep(clock, fault.lastsMs);
      isAway = false;
      await fault.recover(s3);
    }
    await sleep(clock, AFTER_MS);
    await load.stop(SETTLES_WITHIN_MS);
    const found = await untilStored(reader, ledger.acceptedNumbers(), clock);
    const { accepted, lost } = ledger.judge(found);
    const isRead = await readsBack(
      (path) => storage.download(path),
      ledger.acceptedNumbers().at(-1),
      clock,
    );
    await Promise.race([
      Promise.resolve(storage.close()).catch(nothing),
      sleep(clock, CLOSES_WITHIN_MS),
    ]);
    return judge(fault, { accepted, lost: lost.length, isRead, away: load.away });
  } finally {
    reader.destroy();
    await stage.close();
  }
}

function judge(
  { lastsMs }: StorageFault,
  { accepted, lost, isRead, away }: StorageOutcome,
): Check[] {
  return [
    // A storage that accepts nothing keeps no promise by losing nothing.
    check(
      'loses no accepted object',
      LOST_POINTS,
      accepted > 0 && lost === 0,
      `lost ${lost} of ${accepted}`,
    ),
    check('reads back what it has accepted', READ_POINTS, isRead, isRead ? 'yes' : 'no'),
    ...(lastsMs === 0
      ? []
      : [
          check(
            'accepts objects meanwhile',
            AWAY_POINTS,
            away.accepted >= away.offered * MOST,
            `${away.accepted} of ${away.offered}`,
          ),
        ]),
  ];
}

/** How often each was found on the server, with its own bytes: once or never. */
async function untilStored(
  reader: S3Client,
  numbers: readonly number[],
  clock: Clock,
): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  const untilMs = clock.now() + SETTLES_WITHIN_MS;
  for (;;) {
    for (const number of numbers) {
      if (!found.has(number) && (await isStored(reader, number))) found.set(number, 1);
    }
    if (found.size === numbers.length || clock.now() > untilMs) return found;
    await sleep(clock, POLL_MS);
  }
}

async function isStored(reader: S3Client, number: number): Promise<boolean> {
  try {
    const { Body } = await reader.send(
      new GetObjectCommand({ Bucket: BUCKET, Key: pathOf(number) }),
    );
    return isBodyOf(number, (await Body?.transformToByteArray()) ?? new Uint8Array());
  } catch {
    return false;
  }
}

async function readsBack(
  download: (path: string) => Promise<Uint8Array>,
  number: number | undefined,
  clock: Clock,
): Promise<boolean> {
  if (number === undefined) return false;
  const late = sleep(clock, SETTLES_WITHIN_MS).then(() => undefined);
  const read = download(pathOf(number)).catch(() => undefined);
  const body = await Promise.race([read, late]);
  return body instanceof Uint8Array && isBodyOf(number, body);
}

function pathOf(number: number): string {
  return `objects/${number}.txt`;
}

function bodyOf(number: number): Uint8Array {
  return Buffer.from(`object ${number}\n`.repeat(32));
}

function isBodyOf(number: number, body: Uint8Array): boolean {
  return Buffer.from(body).equals(bodyOf(number));
}
