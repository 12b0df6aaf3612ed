import { basename } from 'node:path';
import type { Random } from '@holdfast/foundation';
import type { FileSystem, OpenFile } from './file-system.ts';

/** A call about to be made; an interceptor throws to make it fail. */
export interface FileSystemCall {
  readonly kind: 'write' | 'read' | 'sync' | 'truncate' | 'open' | 'rename' | 'sync-directory';
  readonly name: string;
  readonly bytes: number;
}

/** How a process ends. */
type Crash = 'kill' | 'prefix' | 'sectors';

interface Change {
  readonly position: number;
  readonly data: Buffer | 'cut';
}

/** A file: its content, the part of it that is on the disk, and the changes since the last sync. */
interface Inode {
  readonly number: number;
  data: Buffer;
  durable: Buffer;
  pending: Change[];
  modifiedMs: number;
}

/** A file system in memory, for tests: it can be full, fail at any call, and lose what was not synced. */
export interface MemoryFileSystem extends FileSystem {
  /** Called before each call. */
  intercept: (call: FileSystemCall) => void;
  /** The space for all files; the write that fills it is partial, and the next one fails with ENOSPC. */
  capacityBytes: number;
  /** The machine dies after this many more bytes: that write is partial, and every later call fails. */
  dieAfterBytes: number;
  /**
   * The files that the next process finds. `kill`: everything that was written. `prefix`: the state of the disk
   * and the first changes since the last sync, up to any byte. `sectors`: any 512-byte sectors of those changes.
   */
  crash(how: Crash, random: Random): MemoryFileSystem;
  /** A copy of all files as they are written, as of a volume of which a snapshot is taken; this one goes on. */
  snapshot(): MemoryFileSystem;
  /** The content of a file, to be damaged in place. */
  content(name: string): Buffer;
  names(): string[];
}

const SECTOR_BYTES = 512;

/** An error with that code, as the system would throw it. */
export function errno(code: string): Error {
  return Object.assign(new Error(`injected ${code}`), { code });
}

/** What the test may change while files are open. */
type Controls = Pick<MemoryFileSystem, 'intercept' | 'capacityBytes' | 'dieAfterBytes'>;

/** The names and the contents, as the operating system and as the disk have them. */
class MemoryDisk {
  readonly entries: Map<string, Inode>;
  #durableEntries: Map<string, Inode>;
  #pendingEntries: (() => void)[] = [];
  readonly #controls: () => Controls;
  #inodes: number;
  #dead = false;
  #writes = 0;

  constructor(start: ReadonlyMap<string, Inode>, controls: () => Controls) {
    this.entries = new Map(start);
    this.#durableEntries = new Map(start);
    this.#inodes = start.size;
    this.#controls = controls;
  }

  /** A call is about to be made. */
  call(kind: FileSystemCall['kind'], name: string, bytes = 0): void {
    if (this.#dead) throw errno('EIO');
    this.#controls().intercept({ kind, name, bytes });
  }

  /** Changes the directory now, and on the disk with its next sync. */
  change(apply: (names: Map<string, Inode>) => void): void {
    apply(this.entries);
    this.#pendingEntries.push(() => apply(this.#durableEntries));
  }

  syncDirectory(): void {
    this.#pendingEntries = [];
    this.#durableEntries = new Map(this.entries);
  }

  inode(path: string): Inode {
    const inode = this.entries.get(basename(path));
    if (inode === undefined) throw errno('ENOENT');
    return inode;
  }

  create(name: string): Inode {
    const found = this.entries.get(name);
    if (found !== undefined) {
      found.data = Buffer.alloc(0);
      found.pending.push({ position: 0, data: 'cut' });
      return found;
    }
    const data = Buffer.alloc(0);
    const number = (this.#inodes += 1);
    const inode = { number, data, durable: data, pending: [], modifiedMs: this.#writes };
    this.change((names) => names.set(name, inode));
    return inode;
  }

  openFile(inode: Inode, name: string): OpenFile {
    return {
      write: async (data, position) => {
        this.call('write', name, data.length);
        return this.#write(inode, data, position);
      },
      writeThrough: async (data, position) => {
        this.call('write', name, data.length);
        const written = this.#write(inode, data, position);
        this.call('sync', name);
        settle(inode);
        return written;
      },
      read: async (into, position) => {
        this.call('read', name, into.length);
        const found = inode.data.subarray(position, position + into.length);
        into.set(found);
        return found.length;
      },
      sync: async () => {
        this.call('sync', name);
        settle(inode);
      },
      truncate: async (bytes) => {
        this.call('truncate', name, bytes);
        inode.data = patched(inode.data, 'cut', bytes);
        inode.pending.push({ position: bytes, data: 'cut' });
      },
      async close() {},
    };
  }

  /** The machine dies; returns the files that the next process finds. */
  crash(how: Crash, random: Random): Map<string, Inode> {
    this.#dead = true;
    if (how !== 'kill') {
      const kept = Math.floor(random() * (this.#pendingEntries.length + 1));
      for (const apply of this.#pendingEntries.slice(0, kept)) apply();
    }
    const found = new Map<string, Inode>();
    const copies = new Map<Inode, Inode>();
    for (const [name, inode] of how === 'kill' ? this.entries : this.#durableEntries) {
      const copy = copies.get(inode) ?? survivor(inode, how, random);
      copies.set(inode, copy);
      if (/^owner\.\d+$/.test(name)) releaseOwner(copy);
      found.set(name, copy);
    }
    return found;
  }

  /** A copy of the files; the owner of the copy is dead. */
  snapshot(): Map<string, Inode> {
    const copies = new Map<string, Inode>();
    for (const [name, inode] of this.entries) {
      const data = Buffer.from(inode.data);
      const copy: Inode = { ...inode, data, durable: data, pending: [] };
      if (/^owner\.\d+$/.test(name)) releaseOwner(copy);
      copies.set(name, copy);
    }
    return copies;
  }

  #write(inode: Inode, given: Uint8Array, position: number): number {
    const controls = this.#controls();
    const used = [...this.entries.values()].reduce((sum, { data }) => sum + data.length, 0);
    const room = Math.max(0, controls.capacityBytes - used);
    const growth = Math.max(0, position + given.length - inode.data.length);
    let length = given.length - Math.max(0, growth - room);
    if (length <= 0) throw errno('ENOSPC');
    if (length >= controls.dieAfterBytes) {
      length = controls.dieAfterBytes;
      this.#dead = true;
    }
    controls.dieAfterBytes -= length;
    const data = Buffer.from(given.subarray(0, length));
    inode.data = patched(inode.data, data, position);
    inode.pending.push({ position, data });
    inode.modifiedMs = this.#writes += 1;
    if (this.#dead) throw errno('EIO');
    return length;
  }
}

/** A file system in memory; `start` is what a disk had before. It is empty by default. */
export function createMemoryFileSystem(
  start: ReadonlyMap<string, Inode> = new Map(),
): MemoryFileSystem {
  const disk = new MemoryDisk(start, () => self);
  const { entries } = disk;
  const self: MemoryFileSystem = {
    intercept: () => undefined,
    capacityBytes: Infinity,
    dieAfterBytes: Infinity,
    async open(path, mode) {
      const name = basename(path);
      disk.call('open', name);
      return disk.openFile(mode === 'create' ? disk.create(name) : disk.inode(path), name);
    },
    list: async () => [...entries.keys()],
    makeDirectory: async () => false,
    async syncDirectory() {
      disk.call('sync-directory', '');
      disk.syncDirectory();
    },
    async rename(from, to) {
      disk.call('rename', basename(from));
      const inode = disk.inode(from);
      disk.change((names) => {
        names.delete(basename(from));
        names.set(basename(to), inode);
      });
    },
    async link(existing, added) {
      const inode = disk.inode(existing);
      if (entries.has(basename(added))) throw errno('EEXIST');
      disk.change((names) => names.set(basename(added), inode));
    },
    copy: async () => undefined,
    async remove(path) {
      disk.change((names) => names.delete(basename(path)));
    },
    async status(path) {
      const inode = entries.get(basename(path));
      if (inode === undefined) return undefined;
      return { bytes: inode.data.length, modifiedMs: inode.modifiedMs, inode: inode.number };
    },
    readWhole: async (path) => entries.get(basename(path))?.data,
    content: (name) => disk.inode(name).data,
    names: () => [...entries.keys()].toSorted(),
    snapshot: () => createMemoryFileSystem(disk.snapshot()),
    crash: (how, random) => createMemoryFileSystem(disk.crash(how, random)),
  };
  return self;
}

/** Everything written is on the disk now. */
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

function survivor(inode: Inode, how: Crash, random: Random): Inode {
  if (how === 'kill') return { ...inode };
  let data = inode.durable;
  const kept = how === 'prefix' ? random() * inode.pending.length : inode.pending.length;
  for (const [index, { position, data: added }] of inode.pending.entries()) {
    if (index > kept) break;
    if (added === 'cut') {
      if (how === 'prefix' || random() < 0.5) data = patched(data, 'cut', position);
    } else if (how === 'prefix') {
      const bytes = index + 1 > kept ? Math.floor((kept - index) * added.length) : added.length;
      data = patched(data, added.subarray(0, bytes), position);
    } else {
      data = withSomeSectors(data, added, position, random);
    }
  }
  return { ...inode, data, durable: data, pending: [] };
}

/** Each sector of the write is on the disk either as it was before or as it is after. */
function withSomeSectors(data: Buffer, added: Buffer, position: number, random: Random): Buffer {
  let result = data;
  for (let offset = 0; offset < added.length;) {
    const bytes = SECTOR_BYTES - ((position + offset) % SECTOR_BYTES);
    const sector = added.subarray(offset, offset + bytes);
    if (random() < 0.5) result = patched(result, sector, position + offset);
    offset += bytes;
  }
  return result;
}

/** The crashed process must count as dead, though the test that played it still runs. */
function releaseOwner(inode: Inode): void {
  if (inode.data.length === 0) return;
  inode.data = Buffer.from(inode.data.toString().replace('"released":false', '"released":true'));
  inode.durable = inode.data;
}
