import { createHash } from 'node:crypto';

/** What the emulated model answers to an instruction. */
export interface ScriptedEdit {
  readonly path: string;
  readonly content: string | null;
}

const NAME_CHARACTERS = 10;

/** A whole page. */
export function page(text: string): string {
  return `<!doctype html>\n<html lang="en"><head><link rel="stylesheet" href="/site.css"></head><body>${text}</body></html>\n`;
}

/** The sources of the small site. */
export const SMALL_SITE: Readonly<Record<string, string>> = {
  'package.json': '{ "name": "small-site", "private": true }\n',
  'site.css': 'body { color: #223; }\n',
  'pages/index.html': page('home'),
};

/** Without a script an edit adds a page of its own, so that no two edits touch the same file. */
export function defaultEdit(instruction: string): readonly ScriptedEdit[] {
  const name = createHash('sha256').update(instruction).digest('hex').slice(0, NAME_CHARACTERS);
  return [{ path: `pages/p-${name}.html`, content: page(instruction) }];
}

/** The answer as the model sends it. */
export function answerOf(instruction: string, files: readonly ScriptedEdit[]): string {
  return JSON.stringify({ summary: instruction, files });
}
