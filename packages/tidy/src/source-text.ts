/** After one of these words a slash starts a regular expression, not a division. */
const beforeExpression =
  /(?:^|[^\w$.])(?:await|case|delete|do|else|in|instanceof|new|of|return|throw|typeof|void|yield)$/;

/**
 * Blanks the content of comments, strings, templates and regular expressions in a source. The result has the same
 * length and lines, and keeps the delimiters of strings. Only code is left, so that a rule can look for a
 * call without matching a sentence about it.
 */
export function maskedCode(text: string): string {
  const out = text.split('');
  const blank = (from: number, to: number): void => {
    for (let at = from; at < to; at += 1) if (out[at] !== '\n') out[at] = ' ';
  };
  /** The brace depth inside each open `${…}` of a template. */
  const templates: number[] = [];
  /** The end of the last code token, which decides the meaning of a slash. */
  let codeEnd = 0;
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    const next = text[at + 1];
    const depth = templates.at(-1);
    let end = at + 1;
    if (character === '/' && next === '/') {
      end = orEnd(text.indexOf('\n', at), text);
      blank(at, end);
    } else if (character === '/' && next === '*') {
      end = orEnd(text.indexOf('*/', at + 2) + 2, text, 2);
      blank(at, end);
    } else if (character === '"' || character === "'") {
      end = endOfString(text, at + 1, character);
      blank(at + 1, end - 1);
      codeEnd = end;
    } else if (character === '`' || (character === '}' && depth === 0)) {
      if (character === '}') templates.pop();
      const { stop, opens } = endOfTemplatePart(text, at + 1);
      end = stop;
      blank(at + 1, opens ? end - 2 : end - 1);
      if (opens) templates.push(0);
      codeEnd = opens ? at : end;
    } else if (
      character === '/' &&
      beginsExpression(text.slice(Math.max(0, codeEnd - 40), codeEnd))
    ) {
      end = endOfRegularExpression(text, at + 1);
      blank(at + 1, end);
      codeEnd = end;
    } else {
      if (depth !== undefined && character === '{') templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && character === '}') templates[templates.length - 1] = depth - 1;
      if (character?.trim() !== '') codeEnd = end;
    }
    at = end;
  }
  return out.join('');
}

/** The specifiers of the imports and re-exports of a source, including dynamic ones, with their positions. */
export function importsOf(text: string, code: string): { specifier: string; index: number }[] {
  const openings = code.matchAll(/\b(?:from|import|require|export)\s*\(?\s*(['"])/g);
  return [...openings].map((opening) => {
    const start = opening.index + opening[0].length;
    const quote = opening[1] ?? "'";
    return { specifier: text.slice(start, code.indexOf(quote, start)), index: opening.index };
  });
}

/** The text from the bracket at `index` to its closing bracket, including both. */
export function bracketed(code: string, index: number): string {
  let depth = 0;
  for (let at = index; at < code.length; at += 1) {
    const character = code[at] ?? '';
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    if (depth === 0) return code.slice(index, at + 1);
  }
  return code.slice(index);
}

function orEnd(found: number, text: string, least = 0): number {
  return found < least || found === -1 ? text.length : found;
}

function endOfString(text: string, start: number, quote: string): number {
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === quote || text[at] === '\n') return at + 1;
  }
  return text.length;
}

function endOfTemplatePart(text: string, start: number): { stop: number; opens: boolean } {
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '`') return { stop: at + 1, opens: false };
    else if (text[at] === '$' && text[at + 1] === '{') return { stop: at + 2, opens: true };
  }
  return { stop: text.length, opens: false };
}

function beginsExpression(before: string): boolean {
  return before === '' || !/[\w$)\]}"'`]$/.test(before) || beforeExpression.test(before);
}

function endOfRegularExpression(text: string, start: number): number {
  let inClass = false;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\n') return at;
    if (character === '\\') at += 1;
    else if (character === '[') inClass = true;
    else if (character === ']') inClass = false;
    else if (character === '/' && !inClass) return at + 1;
  }
  return text.length;
}
