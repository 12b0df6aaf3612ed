const REPLACEMENT = '\ufffd';

/**
 * The text in UTF-8; half of a surrogate pair alone is written in three bytes like any character of its range
 * (WTF-8), so that no two texts have the same bytes. The order of the bytes is that of the code points.
 */
export function encodeText(text: string): Uint8Array {
  if (text.isWellFormed()) return Buffer.from(text);
  const parts = Array.from(text, (character) => {
    const point = character.codePointAt(0) ?? 0;
    if (point < 0xd800 || point > 0xdfff) return Buffer.from(character);
    return Buffer.of(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
  });
  return Buffer.concat(parts);
}

/** What {@link encodeText} was given. */
export function decodeText(bytes: Buffer, end: number): string {
  const text = bytes.toString('utf8', 0, end);
  return text.includes(REPLACEMENT) ? decodeCodePoints(bytes, end) : text;
}

function decodeCodePoints(bytes: Uint8Array, end: number): string {
  let text = '';
  for (let at = 0; at < end;) {
    const lead = bytes[at] ?? 0;
    const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    let point = size === 1 ? lead : lead & (0x7f >> size);
    for (let next = 1; next < size; next += 1)
      point = (point << 6) | ((bytes[at + next] ?? 0) & 0x3f);
    text += String.fromCodePoint(point);
    at += size;
  }
  return text;
}

/** From where they differ; a text comes before those that it begins. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
