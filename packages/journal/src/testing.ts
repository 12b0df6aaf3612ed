/** What a test needs to own the disk. */
export {
  type Call,
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from './memory-file-system.ts';
