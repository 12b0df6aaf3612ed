/** What the rule files of this package are made of. */
export type Yaml = string | readonly Yaml[] | { readonly [key: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
}

/**
 * Reads as much of YAML as the rule files use: block mappings and sequences, plain and quoted scalars,
 * and folded text (`>-`). Throws at anything else, so that nothing is read wrongly in silence.
 */
export function readYaml(source: string): Yaml {
  const lines = source
    .split('\n')
    .filter((line) => !/^\s*(?:#|$)/.test(line))
    .map((line) => ({ indent: line.search(/\S/), text: line.trim() }));
  const document = new Block(lines);
  const value = document.value(0);
  document.end();
  return value;
}

class Block {
  readonly #lines: Line[];

  constructor(lines: readonly Line[]) {
    this.#lines = [...lines];
  }

  end(): void {
    const [line] = this.#lines;
    if (line !== undefined) throw new Error(`not in its place: ${line.text}`);
  }

  value(indent: number): Yaml {
    return this.#lines[0]?.text.startsWith('- ') === true
      ? this.#sequence(indent)
      : this.#mapping(indent);
  }

  #sequence(indent: number): Yaml[] {
    const items: Yaml[] = [];
    for (
      let line = this.#at(indent);
      line?.text.startsWith('- ') === true;
      line = this.#at(indent)
    ) {
      // What stands behind the dash is the first line of a block two columns further in.
      this.#lines[0] = { indent: indent + 2, text: line.text.slice(2).trim() };
      items.push(this.value(indent + 2));
    }
    return items;
  }

  #mapping(indent: number): Record<string, Yaml> {
    const fields: Record<string, Yaml> = {};
    for (let line = this.#at(indent); line !== undefined; line = this.#at(indent)) {
      const [, key, rest] = /^([\w-]+):(?: +(.+))?$/.exec(line.text) ?? [];
      if (key === undefined || Object.hasOwn(fields, key)) {
        throw new Error(`not a new field: ${line.text}`);
      }
      this.#lines.shift();
      const inner = this.#lines[0]?.indent ?? 0;
      if (rest === '>-') fields[key] = this.#folded(indent);
      else if (rest !== undefined) fields[key] = scalar(rest);
      else if (inner > indent) fields[key] = this.value(inner);
      else throw new Error(`no value: ${line.text}`);
    }
    return fields;
  }

  #folded(indent: number): string {
    const words: string[] = [];
    for (
      let line = this.#lines[0];
      line !== undefined && line.indent > indent;
      line = this.#lines[0]
    ) {
      words.push(line.text);
      this.#lines.shift();
    }
    return words.join(' ');
  }

  /** The next line, if it stands in that column. */
  #at(indent: number): Line | undefined {
    return this.#lines[0]?.indent === indent ? this.#lines[0] : undefined;
  }
}

function scalar(text: string): string {
  const quoted = /^'((?:[^']|'')*)'$/.exec(text)?.[1];
  if (quoted !== undefined) return quoted.replaceAll("''", "'");
  if (/^["'&*!|>%@`[{]|: |:$| #/.test(text)) throw new Error(`not a plain scalar: ${text}`);
  return text;
}
