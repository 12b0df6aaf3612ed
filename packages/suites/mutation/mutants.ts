/** One small fault in a source file. */
export interface Mutant {
  readonly lineNumber: number;
  readonly original: string;
  readonly mutated: string;
}

/** What is replaced by what, wherever it stands on a line of code. */
const swaps: readonly (readonly [RegExp, string])[] = [
  [/ === /g, ' !== '],
  [/ !== /g, ' === '],
  [/ < /g, ' <= '],
  [/ <= /g, ' < '],
  [/ > /g, ' >= '],
  [/ >= /g, ' > '],
  [/ < /g, ' > '],
  [/ > /g, ' < '],
  [/ \+ /g, ' - '],
  [/ - /g, ' + '],
  [/ \* /g, ' / '],
  [/ \/ /g, ' * '],
  [/ \+= /g, ' -= '],
  [/ -= /g, ' += '],
  [/ && /g, ' || '],
  [/ \|\| /g, ' && '],
  [/\btrue\b/g, 'false'],
  [/\bfalse\b/g, 'true'],
  [/Math\.min/g, 'Math.max'],
  [/Math\.max/g, 'Math.min'],
  [/Math\.ceil/g, 'Math.floor'],
  [/Math\.floor/g, 'Math.ceil'],
  [/\bif \((.+)\) /g, 'if (true) '],
  [/\bif \((.+)\) /g, 'if (false) '],
];

/** Statements of one line whose absence nobody may overlook: calls, assignments, jumps. */
const deletable = [
  /^\s+(?:void )?[\w.#?]+\(.*\);$/,
  /^\s+[\w.#]+ (?:=|\+=|-=) .*;$/,
  /^\s+(?:return|throw\b.*|break|continue);$/,
];

/** Every mutant of a source text, in its order. Only whole lines of code are looked at, by their text. */
export function mutantsOf(source: string): Mutant[] {
  const found: Mutant[] = [];
  for (const { line, lineNumber } of linesOfCode(source)) {
    const add = (mutated: string): void => {
      if (mutated !== line) found.push({ lineNumber, original: line, mutated });
    };
    for (const [pattern, replacement] of swaps) {
      for (const match of line.matchAll(pattern)) {
        const rest = line.slice(match.index + match[0].length);
        add(`${line.slice(0, match.index)}${replacement}${rest}`);
      }
    }
    if (deletable.some((pattern) => pattern.test(line))) add('');
  }
  return found;
}

/** The lines that do something: no comments, imports, types, or texts of messages. */
function linesOfCode(source: string): { line: string; lineNumber: number }[] {
  const code: { line: string; lineNumber: number }[] = [];
  let skippingTo: RegExp | undefined;
  for (const [index, line] of source.split('\n').entries()) {
    if (skippingTo !== undefined) {
      if (skippingTo.test(line)) skippingTo = undefined;
    } else if (/^\s*\/\*\*(?!.*\*\/)/.test(line)) {
      skippingTo = /\*\/$/;
    } else if (/^(?:export )?interface .*\{$/.test(line) || /^import .*\{$/.test(line)) {
      skippingTo = /^\}/;
    } else if (/^export type .*[^;]$|^type .*[^;]$/.test(line)) {
      skippingTo = /;$/;
    } else if (!/^\s*(?:\/\/|\/\*|import |export \{|export type |type |\S*`)/.test(line)) {
      code.push({ line, lineNumber: index + 1 });
    }
  }
  return code;
}

/** The source with the mutated line. */
export function applyTo(source: string, mutant: Mutant): string {
  const lines = source.split('\n');
  lines[mutant.lineNumber - 1] = mutant.mutated;
  return lines.join('\n');
}
