/** Encodes a command as an array of bulk strings. */
export function encodeCommand(words: readonly string[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join('')}`;
}

/** Encodes an error reply. */
export function errorReply(text: string): Buffer {
  return Buffer.from(`-${text}\r\n`);
}
