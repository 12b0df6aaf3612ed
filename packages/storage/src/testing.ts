/** A store in memory whose failures a test chooses. */
export {
  type MemoryBackend,
  type MemoryCall,
  type MemoryFault,
  type MemoryObject,
  createMemoryBackend,
} from './backends/memory.ts';
