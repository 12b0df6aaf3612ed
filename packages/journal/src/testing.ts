/** What a test needs to own the disk. */
export {
  type FileSystemCall,
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from './files/memory-file-system.ts';
