import type { KeyTurns, KeyTurn } from './accept/key-turns.ts';
import { MoveUnfinishedError } from './errors.ts';
import type { Operation } from './journal/operation.ts';
import { keptMaxAge } from './object/cache-control.ts';
import type { ResolvedCopyOptions } from './options.ts';
import type { ReadEpoch, ReadEpochs } from './read/stale-reads.ts';
import type { Download, Storage, Stored, UploadOptions } from './storage.ts';

/** A storage as the source or the target of a copy or a move. */
export interface TransferEnd {
  readonly turns: KeyTurns;
  readonly epochs: ReadEpochs;
  readonly info: Storage['info'];
  /** @throws StorageClosedError, InvalidKeyError, the signal's own reason */
  check(tried: string, path: string, signal: AbortSignal | undefined): void;
  find(
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly download: Download; readonly isInMemory: boolean }>;
  put(
    turn: KeyTurn,
    path: string,
    open: () => Promise<AsyncIterable<Uint8Array>>,
    options: UploadOptions,
  ): Promise<Stored>;
  remove(path: string, turn: KeyTurn, signal: AbortSignal, onlyOurs: boolean): Promise<Operation>;
  acknowledge(
    operation: Operation,
    withinMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Stored>;
}

/** A copy or a move, with its options. */
export interface ObjectTransfer extends Omit<ResolvedCopyOptions, 'target'> {
  readonly call: 'copy' | 'move';
  readonly path: string;
  readonly toPath: string;
  readonly from: TransferEnd;
  readonly target: Storage;
  /** The target; `undefined` for one of another kind, which orders its calls itself. */
  readonly to: TransferEnd | undefined;
}

/** @throws the errors of `download` and `upload` */
export async function copyObject(transfer: ObjectTransfer): Promise<Stored> {
  const { from, to, path, toPath, signal } = transfer;
  check(transfer);
  const isItself = isOntoItself(transfer);
  const turn = from.turns.take(path, isItself ? 'move' : 'copy');
  const place = isItself ? turn : to?.turns.take(toPath, 'write');
  try {
    await turn.begin(signal);
    const { download, isInMemory } = await from.find(path, signal);
    if (isInMemory && !isItself) turn.end();
    return await store(transfer, download, place);
  } finally {
    turn.end();
    place?.end();
  }
}

/** @throws MoveUnfinishedError, the errors of `download` and `upload` */
export async function moveObject(transfer: ObjectTransfer): Promise<void> {
  const { from, to, path, toPath, signal } = transfer;
  check(transfer);
  const isItself = isOntoItself(transfer);
  const turn = from.turns.take(path, isItself ? 'copy' : 'move');
  const place = isItself ? undefined : to?.turns.take(toPath, 'write');
  let epoch: ReadEpoch | undefined;
  try {
    await turn.begin(signal);
    if (isItself) {
      await from.info(path, signal && { signal });
      return;
    }
    epoch = from.epochs.begin(path);
    const { download, isInMemory } = await from.find(path, signal);
    if (isInMemory) turn.letWritesPass();
    await store(transfer, download, place);
    await removeMoved(transfer, download, turn, epoch);
  } finally {
    epoch?.end();
    turn.end();
    place?.end();
  }
}

function isOntoItself({ from, to, path, toPath }: ObjectTransfer): boolean {
  return from.turns === to?.turns && path === toPath;
}

function check({ call, from, path, to, toPath, signal }: ObjectTransfer): void {
  from.check(call, path, signal);
  to?.check(call, toPath, signal);
}

function store(
  { to, target, toPath, signal, acknowledgeWithinMs, attributes }: ObjectTransfer,
  { body, contentType, cacheControl, metadata }: Download,
  place: KeyTurn | undefined,
): Promise<Stored> {
  const options: UploadOptions = {
    contentType,
    metadata,
    ...keptMaxAge(cacheControl),
    ...attributes,
    ...(signal !== undefined && { signal }),
    ...(acknowledgeWithinMs !== undefined && { acknowledgeWithinMs }),
  };
  const open = async () => body;
  return to === undefined || place === undefined
    ? target.upload(toPath, open, options)
    : to.put(place, toPath, open, options);
}

/** Removes what was moved, unless a write of its key was accepted since it was read. */
async function removeMoved(
  { from, path, toPath, signal, acknowledgeWithinMs }: ObjectTransfer,
  download: Download,
  turn: KeyTurn,
  epoch: ReadEpoch,
): Promise<void> {
  let removal: Operation | undefined;
  try {
    // What was moved waits here: another writer's object was not, and stays.
    const onlyOurs = download.from === 'pending';
    removal = await from.remove(path, turn, epoch.signal, onlyOurs);
    await from.acknowledge(removal, acknowledgeWithinMs, signal);
  } catch (error) {
    if (removal === undefined && epoch.signal.aborted) return;
    if (signal?.aborted === true && error === signal.reason) throw error;
    throw new MoveUnfinishedError(path, toPath, error);
  }
}
