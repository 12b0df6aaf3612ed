/** What a test needs to own the server. */
export {
  type MemoryBackend,
  type MemoryCall,
  type MemoryFault,
  type MemoryObject,
  createMemoryBackend,
} from './backends/memory.ts';
