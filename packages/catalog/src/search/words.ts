/** A word is compared by so many of its characters. */
const MAX_WORD = 64;
/** So many characters of a text are searched. */
const MAX_TEXT = 2_000;

const ASCII = /^[ -~]*$/u;
const MARKS = /\p{M}+/gu;
const ASCII_WORDS = /[0-9A-Z]+/g;
const WORDS = /[\p{L}\p{N}]+/gu;

/**
 * The words of a text: its runs of letters and digits, without accents and in one case. Of a text, the first 2 000
 * characters count; of a word, the first 64.
 */
export function wordsOf(text: string): string[] {
  const start = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
  const words = ASCII.test(start)
    ? start.toUpperCase().match(ASCII_WORDS)
    : start.normalize('NFKD').replace(MARKS, '').toUpperCase().match(WORDS);
  return (words ?? []).map((word) => (word.length > MAX_WORD ? word.slice(0, MAX_WORD) : word));
}

/** What countries and regions are compared by. */
export function withoutCase(text: string): string {
  return text.toUpperCase();
}
