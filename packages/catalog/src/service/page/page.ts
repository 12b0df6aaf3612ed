import { createHash } from 'node:crypto';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

const number = (name: string, label: string, step: string): string =>
  `<label>${label}<input type="number" name="${name}" min="0" step="${step}"></label>`;
const select = (name: string, label: string): string =>
  `<label>${label}<select name="${name}"><option value="">any</option></select></label>`;

/** The page: one file that loads nothing else. */
export const PAGE: string = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Catalog</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
<header><h1>Catalog</h1><div id="state" role="status">connecting…</div></header>
<div id="sync" hidden><progress id="progress" aria-label="Sync"></progress> <span id="phase"></span></div>
<p id="last"></p>
<form id="search">
<label class="wide">Words<input type="search" name="text" maxlength="200" autofocus></label>
${select('country', 'Country')}${select('region', 'Region')}${select('group', 'Group')}
${number('minDataMb', 'From MB', '1')}${number('maxDataMb', 'To MB', '1')}
${number('minDurationDays', 'From days', '1')}${number('maxPrice', 'Price up to', '0.01')}
<label>Unlimited<select name="unlimited"><option value="">any<option value="true">yes<option value="false">no</select></label>
<label>Order<select name="sort"><option value="price">price<option value="dataAmount">data<option value="duration">days<option value="name">name</select></label>
<label>Direction<select name="direction"><option value="ascending">up<option value="descending">down</select></label>
<button>Search</button>
</form>
<p id="problem" role="alert"></p>
<table>
<thead><tr><th scope="col">Name<th scope="col" class="number">Price<th scope="col" class="number">Data<th scope="col" class="number">Days<th scope="col">Countries<th scope="col">Groups</thead>
<tbody id="bundles"></tbody>
</table>
<div class="pager"><button id="previous" type="button" disabled>Previous</button><button id="next" type="button" disabled>Next</button><span id="total" aria-live="polite"></span></div>
<script>${SCRIPT}</script>
</html>
`;

const hashOf = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Permits what the page has in itself, and calls of this service; nothing that was injected. */
export const CONTENT_SECURITY_POLICY: string = [
  "default-src 'none'",
  `script-src ${hashOf(SCRIPT)}`,
  `style-src ${hashOf(STYLE)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
