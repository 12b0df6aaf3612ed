export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  text: string;
}

const piece = /<\?[^?]*\?>|<(\/?)([\w:-]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;
const characters: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};

/**
 * Parses the part of XML that JUnit files use; throws where the text is not well-formed, and on characters that
 * XML 1.0 does not permit.
 */
export function parseXml(xml: string): Element {
  if (/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u.test(xml)) {
    throw new SyntaxError('a character that XML does not permit');
  }
  const top: Element = { name: '', attributes: {}, children: [], text: '' };
  const open = [top];
  piece.lastIndex = 0;
  while (piece.lastIndex < xml.length) {
    const at = piece.lastIndex;
    const found = piece.exec(xml);
    if (found === null) throw new SyntaxError(`not well-formed: ${xml.slice(at, at + 60)}`);
    const [, closing, name, attributes, empty, text] = found;
    const parent = open.at(-1) ?? top;
    if (text !== undefined) parent.text += decode(text);
    if (name === undefined) continue;
    if (closing === '/') {
      if (open.pop()?.name !== name) throw new SyntaxError(`</${name}> closes nothing`);
      continue;
    }
    const element = { name, attributes: attributesOf(attributes ?? ''), children: [], text: '' };
    parent.children.push(element);
    if (empty !== '/') open.push(element);
  }
  const [root] = top.children;
  if (open.length !== 1 || root === undefined || top.children.length !== 1) {
    throw new SyntaxError('not one whole document');
  }
  return root;
}

function attributesOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/([\w:-]+)="([^"]*)"/g)];
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, decode(value)]));
}

function decode(text: string): string {
  return text.replaceAll(/&[^;\s]*;?/g, (reference) => {
    const character = characters[reference];
    if (character === undefined) throw new SyntaxError(`unknown reference ${reference}`);
    return character;
  });
}
