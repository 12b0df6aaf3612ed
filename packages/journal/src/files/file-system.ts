import * as fs from 'node:fs';
import { isErrno } from '../errors.ts';

/** An open file. Every call runs on the thread pool, none on the event loop. */
export interface OpenFile {
  /** Writes at `position`; resolves with the number of bytes written, which may be fewer than given. */
  write(data: Uint8Array, position: number): Promise<number>;
  /** The same, but resolves once those bytes are on the disk; only for a file opened with `create`. */
  writeThrough(data: Uint8Array, position: number): Promise<number>;
  /** Fills `into` from `position`; resolves with the number of bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Resolves once everything written is on the disk (fdatasync). */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** What is known of a file. */
export interface FileStatus {
  readonly bytes: number;
  readonly modifiedMs: number;
  /** Distinguishes files of the same name. */
  readonly inode: number;
}

/** The part of a file system that a journal uses; a test provides one that fails at a chosen time. */
export interface FileSystem {
  /** `read`: must exist. `write`: must exist, is changed in place. `create`: created, or emptied if it exists. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile>;
  list(directory: string): Promise<string[]>;
  /** Creates the last folder of the path; `false` if something with that name exists. */
  makeDirectory(path: string): Promise<boolean>;
  /** Makes creations, deletions and renames in the directory durable. */
  syncDirectory(directory: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Adds a second name for a file; fails with `EEXIST` if the name is taken. */
  link(existing: string, added: string): Promise<void>;
  copy(from: string, to: string): Promise<void>;
  /** Deletes the file if it exists. */
  remove(path: string): Promise<void>;
  status(path: string): Promise<FileStatus | undefined>;
  readWhole(path: string): Promise<Uint8Array | undefined>;
}

/** Writes all of the data, with as many writes as the file system needs. */
export async function writeAll(
  file: OpenFile,
  data: Uint8Array,
  position: number,
  how: 'write' | 'writeThrough' = 'write',
): Promise<void> {
  let done = 0;
  while (done < data.byteLength) {
    const rest = done === 0 ? data : data.subarray(done);
    const written = await file[how](rest, position + done);
    if (written === 0) {
      throw Object.assign(new Error('the file system wrote nothing'), { code: 'EIO' });
    }
    done += written;
  }
}

/**
 * On Linux a descriptor with O_DSYNC writes and syncs in one task of the thread pool, a tenth to a third faster
 * than two. Elsewhere the flag may promise less than fdatasync does (macOS: no F_FULLFSYNC).
 */
const syncsByFlag = process.platform === 'linux';

const openFlags = { read: 'r', write: 'r+', create: 'w+' } as const;

/** The errors of systems that cannot sync a directory; there, names are durable without. */
const directorySyncUnsupported: readonly string[] = ['EINVAL', 'EPERM', 'EISDIR', 'ENOTSUP'];

/** The file system of the operating system. */
export const nodeFileSystem: FileSystem = {
  async open(path, mode) {
    const descriptor = await descriptorOf(path, openFlags[mode]);
    if (mode !== 'create' || !syncsByFlag) return openFile(descriptor, undefined);
    try {
      return openFile(
        descriptor,
        await descriptorOf(path, fs.constants.O_RDWR | fs.constants.O_DSYNC),
      );
    } catch (error) {
      await callback((done) => fs.close(descriptor, done));
      throw error;
    }
  },
  list: (directory) => fs.promises.readdir(directory),
  async makeDirectory(path) {
    try {
      await fs.promises.mkdir(path);
      return true;
    } catch (error) {
      if (isErrno(error, ['EEXIST'])) return false;
      throw error;
    }
  },
  async syncDirectory(directory) {
    try {
      const handle = await fs.promises.open(directory, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (!isErrno(error, directorySyncUnsupported)) throw error;
    }
  },
  rename: (from, to) => fs.promises.rename(from, to),
  link: (existing, added) => fs.promises.link(existing, added),
  copy: (from, to) => fs.promises.copyFile(from, to, fs.constants.COPYFILE_FICLONE),
  remove: (path) => ifExists(fs.promises.unlink(path)),
  async status(path) {
    const found = await ifExists(fs.promises.stat(path));
    if (found === undefined) return undefined;
    return { bytes: found.size, modifiedMs: found.mtimeMs, inode: found.ino };
  },
  readWhole: (path) => ifExists(fs.promises.readFile(path)),
};

/** `undefined` if the file does not exist. */
async function ifExists<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isErrno(error, ['ENOENT'])) return undefined;
    throw error;
  }
}

function descriptorOf(path: string, flags: string | number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, 0o600, (error, descriptor) => {
      if (error === null) resolve(descriptor);
      else reject(error);
    });
  });
}

/** Uses the callback interface: a FileHandle costs a fifth of the append rate. */
function openFile(descriptor: number, through: number | undefined): OpenFile {
  const sync = (): Promise<void> => callback((done) => fs.fdatasync(descriptor, done));
  return {
    write: (data, position) => write(descriptor, data, position),
    async writeThrough(data, position) {
      if (through !== undefined) return write(through, data, position);
      const written = await write(descriptor, data, position);
      await sync();
      return written;
    },
    read: (into, position) =>
      new Promise((resolve, reject) => {
        fs.read(descriptor, into, 0, into.byteLength, position, (error, bytes) => {
          if (error === null) resolve(bytes);
          else reject(error);
        });
      }),
    sync,
    truncate: (bytes) => callback((done) => fs.ftruncate(descriptor, bytes, done)),
    async close() {
      if (through !== undefined) await callback((done) => fs.close(through, done));
      await callback((done) => fs.close(descriptor, done));
    },
  };
}

function write(descriptor: number, data: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(descriptor, data, 0, data.byteLength, position, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

function callback(start: (done: (error: Error | null | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
