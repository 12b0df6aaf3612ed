/** A file system in memory whose failures and crashes a test controls. */
export {
  type FileSystemCall,
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from './files/memory-file-system.ts';
