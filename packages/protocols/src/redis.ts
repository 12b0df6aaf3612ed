/** The protocol of Redis (RESP) as bytes: commands, replies and the slots of a cluster. */
export { type RedisCommand, createCommandReader } from './redis/command-reader.ts';
export { keySlot } from './redis/key-slot.ts';
export { createReplyScanner } from './redis/reply-scanner.ts';
