/** The Redis protocol (RESP) as bytes: commands, replies and cluster slots. */
export { type RedisCommand, CommandReader } from './redis/command-reader.ts';
export { SLOT_COUNT, keySlot } from './redis/key-slot.ts';
export { type RedisReply, decodeReply } from './redis/reply-reader.ts';
export { ReplyScanner } from './redis/reply-scanner.ts';
export { encodeCommand, errorReply } from './redis/writer.ts';
