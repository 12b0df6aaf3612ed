import { type FileHandle, open, stat } from 'node:fs/promises';
import { type NetConnectOpts, type Socket, connect } from 'node:net';
import {
  InvalidOptionError,
  boolean,
  integer,
  onAbort,
  parseOptions,
  string,
} from '@holdfast/foundation';
import type { DescriptorOptions, DescriptorSource, OpenFileOptions } from './descriptor-pool.ts';

const schema = {
  flags: string({ maxLength: 8, default: 'r' }),
  mode: integer({ min: 0, max: 0o7777, default: 0o666 }),
  keep: boolean(false),
};

/** @throws InvalidOptionError */
export function fileSource(
  path: string,
  options: Omit<OpenFileOptions, keyof DescriptorOptions>,
): DescriptorSource<FileHandle> {
  const { flags, mode, keep } = parseOptions('pool.openFile', schema, options);
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new InvalidOptionError('pool.openFile', 'path', path, 'a path without a zero byte');
  }
  if (keep && flags !== 'r') {
    throw new InvalidOptionError('pool.openFile', 'flags', flags, `'r' for a handle that is kept`);
  }
  const source: DescriptorSource<FileHandle> = {
    open: () => open(path, flags, mode),
    close: (handle) => handle.close(),
  };
  if (!keep) return source;
  return {
    ...source,
    key: `file:${path}`,
    async isCurrent(handle) {
      const [kept, named] = await Promise.all([handle.stat(), stat(path)]);
      return kept.ino === named.ino && kept.dev === named.dev;
    },
  };
}

export function socketSource(target: NetConnectOpts): DescriptorSource<Socket> {
  return {
    open: (signal) =>
      new Promise((resolve, reject) => {
        const socket = connect(target);
        const release = onAbort(signal, () => socket.destroy());
        const settle = (): void => {
          release();
          socket.off('error', failed).off('close', closed).off('connect', connected);
        };
        const connected = (): void => {
          settle();
          resolve(socket);
        };
        const failed = (error: Error): void => {
          settle();
          reject(error);
        };
        const closed = (): void =>
          failed(new Error('the socket was closed before it was connected'));
        socket.on('connect', connected).on('error', failed).on('close', closed);
      }),
    close: (socket) => socket.destroy(),
  };
}
