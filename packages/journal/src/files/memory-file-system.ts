import { basename } from 'node:path';
import type { Random } from '@holdfast/foundation';
import type { FileSystem, OpenFile } from './file-system.ts';

/** A call about to be made; an interceptor throws to make it fail. */
export interface FileSystemCall {
  readonly kind: 'write' | 'read' | 'sync' | 'truncate' | 'open' | 'rename' | 'sync-directory';
  readonly name: string;
  readonly bytes: number;
}

interface Change {
  readonly position: number;
  readonly data: Buffer | 'cut';
}

/** A file with what the disk has of it, and what only the operating system has. */
interface Inode {
  readonly number: number;
  data: Buffer;
  durable: Buffer;
  pending: Change[];
  modifiedMs: number;
}

export interface MemoryFileSystem extends FileSystem {
  /** Called before each call. */
  intercept: (call: FileSystemCall) => void;
  /** Bytes all files together may have; a write stops short there and the next one fails with ENOSPC. */
  capacityBytes: number;
  /** After so many more bytes written the machine dies: that write is partial, every later call fails. */
  dieAfterBytes: number;
  /**
   * What the next process finds. `kill`: all that was written. `prefix`: the disk's state and the first of
   * the changes since the last sync, up to any byte. `sectors`: any 512-byte sectors of those changes.
   */
  crash(how: 'kill' | 'prefix' | 'sectors', random: Random): MemoryFileSystem;
  /** The content of a file, to be damaged in place. */
  content(name: string): Buffer;
  names(): string[];
}

const SECTOR_BYTES = 512;

export function errno(code: string): Error {
  return Object.assign(new Error(`injected ${code}`), { code });
}

export function createMemoryFileSystem(
  start: ReadonlyMap<string, Inode> = new Map(),
): MemoryFileSystem {
  const entries = new Map(start);
  let durableEntries = new Map(start);
  let pendingEntries: (() => void)[] = [];
  let inodes = entries.size;
  let dead = false;
  let ticks = 0;

  const call = (kind: FileSystemCall['kind'], name: string, bytes = 0): void => {
    if (dead) throw errno('EIO');
    self.intercept({ kind, name, bytes });
  };

  /** Changes the directory now, and on the disk with its next sync. */
  const change = (apply: (names: Map<string, Inode>) => void): void => {
    apply(entries);
    pendingEntries.push(() => apply(durableEntries));
  };

  const used = (): number => [...entries.values()].reduce((sum, { data }) => sum + data.length, 0);

  const put = (inode: Inode, given: Uint8Array, position: number): number => {
    const room = Math.max(0, self.capacityBytes - used());
    const grows = Math.max(0, position + given.length - inode.data.length);
    let length = given.length - Math.max(0, grows - room);
    if (length <= 0) throw errno('ENOSPC');
    if (length >= self.dieAfterBytes) {
      length = self.dieAfterBytes;
      dead = true;
    }
    self.dieAfterBytes -= length;
    const data = Buffer.from(given.subarray(0, length));
    inode.data = patched(inode.data, data, position);
    inode.pending.push({ position, data });
    inode.modifiedMs = ticks += 1;
    if (dead) throw errno('EIO');
    return length;
  };

  const openFile = (inode: Inode, name: string): OpenFile => ({
    async write(data, position) {
      call('write', name, data.length);
      return put(inode, data, position);
    },
    async writeThrough(data, position) {
      call('write', name, data.length);
      const written = put(inode, data, position);
      call('sync', name);
      settle(inode);
      return written;
    },
    async read(into, position) {
      call('read', name, into.length);
      const found = inode.data.subarray(position, position + into.length);
      into.set(found);
      return found.length;
    },
    async sync() {
      call('sync', name);
      settle(inode);
    },
    async truncate(bytes) {
      call('truncate', name, bytes);
      inode.data = patched(inode.data, 'cut', bytes);
      inode.pending.push({ position: bytes, data: 'cut' });
    },
    async close() {},
  });

  const self: MemoryFileSystem = {
    intercept: () => undefined,
    capacityBytes: Infinity,
    dieAfterBytes: Infinity,
    async open(path, mode) {
      const name = basename(path);
      call('open', name);
      let inode = entries.get(name);
      if (inode === undefined) {
        if (mode !== 'create') throw errno('ENOENT');
        const empty = Buffer.alloc(0);
        const made = {
          number: (inodes += 1),
          data: empty,
          durable: empty,
          pending: [],
          modifiedMs: ticks,
        };
        inode = made;
        change((names) => names.set(name, made));
      } else if (mode === 'create') {
        inode.data = Buffer.alloc(0);
        inode.pending.push({ position: 0, data: 'cut' });
      }
      return openFile(inode, name);
    },
    list: async () => [...entries.keys()],
    makeDirectory: async () => false,
    async syncDirectory() {
      call('sync-directory', '');
      pendingEntries = [];
      durableEntries = new Map(entries);
    },
    async rename(from, to) {
      call('rename', basename(from));
      const inode = entries.get(basename(from));
      if (inode === undefined) throw errno('ENOENT');
      change((names) => {
        names.delete(basename(from));
        names.set(basename(to), inode);
      });
    },
    async link(existing, added) {
      const inode = entries.get(basename(existing));
      if (inode === undefined) throw errno('ENOENT');
      if (entries.has(basename(added))) throw errno('EEXIST');
      change((names) => names.set(basename(added), inode));
    },
    copy: async () => undefined,
    async remove(path) {
      change((names) => names.delete(basename(path)));
    },
    async status(path) {
      const inode = entries.get(basename(path));
      if (inode === undefined) return undefined;
      return { bytes: inode.data.length, modifiedMs: inode.modifiedMs, inode: inode.number };
    },
    readWhole: async (path) => entries.get(basename(path))?.data,
    content(name) {
      const inode = entries.get(name);
      if (inode === undefined) throw errno('ENOENT');
      return inode.data;
    },
    names: () => [...entries.keys()].toSorted(),
    crash(how, random) {
      dead = true;
      if (how !== 'kill') {
        const kept = Math.floor(random() * (pendingEntries.length + 1));
        for (const apply of pendingEntries.slice(0, kept)) apply();
      }
      const found = new Map<string, Inode>();
      const copies = new Map<Inode, Inode>();
      for (const [name, inode] of how === 'kill' ? entries : durableEntries) {
        const copy = copies.get(inode) ?? survivor(inode, how, random);
        copies.set(inode, copy);
        if (/^owner\.\d+$/.test(name)) releaseOwner(copy);
        found.set(name, copy);
      }
      return createMemoryFileSystem(found);
    },
  };
  return self;
}

function settle(inode: Inode): void {
  inode.durable = Buffer.from(inode.data);
  inode.pending = [];
}

function patched(data: Buffer, added: Buffer | 'cut', position: number): Buffer {
  const length = added === 'cut' ? position : Math.max(data.length, position + added.length);
  const result = Buffer.alloc(length);
  data.copy(result, 0, 0, Math.min(data.length, length));
  if (added !== 'cut') added.copy(result, position);
  return result;
}

function survivor(inode: Inode, how: 'kill' | 'prefix' | 'sectors', random: Random): Inode {
  if (how === 'kill') return { ...inode };
  let data = inode.durable;
  const kept = how === 'prefix' ? random() * inode.pending.length : inode.pending.length;
  for (const [place, { position, data: added }] of inode.pending.entries()) {
    if (place > kept) break;
    if (added === 'cut') {
      if (how === 'prefix' || random() < 0.5) data = patched(data, 'cut', position);
    } else if (how === 'prefix') {
      const bytes = place + 1 > kept ? Math.floor((kept - place) * added.length) : added.length;
      data = patched(data, added.subarray(0, bytes), position);
    } else {
      data = withSomeSectors(data, added, position, random);
    }
  }
  return { ...inode, data, durable: data, pending: [] };
}

/** Each sector the write touches is on the disk as it was before or as it is after. */
function withSomeSectors(data: Buffer, added: Buffer, position: number, random: Random): Buffer {
  let result = data;
  for (let at = 0; at < added.length;) {
    const bytes = SECTOR_BYTES - ((position + at) % SECTOR_BYTES);
    if (random() < 0.5) result = patched(result, added.subarray(at, at + bytes), position + at);
    at += bytes;
  }
  return result;
}

/** The process of the test lives on; the one that crashed must not. */
function releaseOwner(inode: Inode): void {
  if (inode.data.length === 0) return;
  inode.data = Buffer.from(inode.data.toString().replace('"released":false', '"released":true'));
  inode.durable = inode.data;
}
