/** An element to write: its name, and its text or its child elements. */
export type XmlElement = readonly [
  name: string,
  content: string | number | boolean | readonly XmlElement[],
];

/** A parsed element. */
export interface ParsedElement {
  readonly name: string;
  readonly text: string;
  readonly elements: readonly ParsedElement[];
}

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

/** An XML document in the namespace of S3. */
export function writeXml([name, content]: XmlElement): string {
  return `${DECLARATION}${elementText(name, content, ` xmlns="${NAMESPACE}"`)}`;
}

/** An XML document without a namespace: errors have none, and clients look for their code without one. */
export function writePlainXml([name, content]: XmlElement): string {
  return `${DECLARATION}${elementText(name, content)}`;
}

function elementText(name: string, content: XmlElement[1], attributes = ''): string {
  const inner = Array.isArray(content)
    ? content.map((child: XmlElement) => elementText(child[0], child[1])).join('')
    : escape(String(content));
  return `<${name}${attributes}>${inner}</${name}>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Also escapes control characters, which parsers would normalize or reject. */
function escape(text: string): string {
  return text.replaceAll(
    /[&<>"\p{Cc}\ufffe\uffff]/gu,
    (unsafe) => entities[unsafe] ?? `&#x${unsafe.charCodeAt(0).toString(16)};`,
  );
}

const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

const TOKEN = /<\?[^>]*\?>|<!--[^]*?-->|<(\/?)([\w:.-]+)[^<>]*?(\/?)>|([^<]+)/gy;

/** The root of a small document; `undefined` when it is not well-formed. No DTD, no CDATA. */
export function parseXml(document: string): ParsedElement | undefined {
  type Open = { name: string; text: string; elements: ParsedElement[] };
  const top: Open = { name: '', text: '', elements: [] };
  const open = [top];
  let at = 0;
  for (const token of document.matchAll(TOKEN)) {
    const [whole, closing, qualified, selfClosing, text] = token;
    at += whole.length;
    const innermost = open.at(-1) ?? top;
    if (text !== undefined) innermost.text += unescape(text);
    if (qualified === undefined) continue;
    const name = qualified.slice(qualified.indexOf(':') + 1);
    if (closing === '/') {
      const ended = open.pop();
      if (ended?.name !== name || open.length === 0) return undefined;
      open.at(-1)?.elements.push(ended);
    } else if (selfClosing === '/') innermost.elements.push({ name, text: '', elements: [] });
    else open.push({ name, text: '', elements: [] });
  }
  const isWhole = at === document.length && open.length === 1 && top.text.trim() === '';
  return isWhole && top.elements.length === 1 ? top.elements[0] : undefined;
}

function unescape(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    const point = hex === undefined ? Number(decimal) : Number.parseInt(String(hex), 16);
    if (name === undefined) return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    return NAMED[String(name)] ?? whole;
  });
}

/** The text of the first child with this name. */
export function childText(element: ParsedElement, name: string): string | undefined {
  return element.elements.find((child) => child.name === name)?.text;
}
