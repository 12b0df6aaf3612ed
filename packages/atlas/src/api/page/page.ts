import { createHash } from 'node:crypto';
import { SCRIPT } from './script.ts';

const STYLE = `
:root{color-scheme:light dark;--line:#8a94a3;--accent:#1769aa;--ground:#f6f8fa;font:16px/1.5 system-ui,sans-serif}
@media (prefers-color-scheme:dark){:root{--line:#5d6875;--accent:#6db3f2;--ground:#161b22}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;justify-content:space-between}
h1{font-size:1.4rem;margin:0}
main{display:grid;gap:1rem;grid-template-columns:minmax(0,2fr) minmax(15rem,1fr);margin-top:1rem}
@media (max-width:44rem){main{grid-template-columns:minmax(0,1fr)}}
svg{width:100%;aspect-ratio:4/3;background:var(--ground);border:1px solid var(--line);border-radius:.5rem;cursor:crosshair;touch-action:manipulation}
path{fill:var(--accent);fill-opacity:.12;fill-rule:evenodd;stroke:var(--accent);stroke-width:1;vector-effect:non-scaling-stroke}
path.found{fill-opacity:.5;stroke-width:2.5}
circle{fill:#d1242f}
form{display:grid;grid-template-columns:1fr 1fr;gap:.5rem}
form button{grid-column:1/-1}
label{display:grid;font-size:.85rem}
input,button,select{font:inherit;padding:.4rem .5rem;min-height:2.5rem;width:100%;min-width:0}
ul{list-style:none;padding:0;margin:1rem 0}
li{border-top:1px solid var(--line);padding:.5rem 0;overflow-wrap:anywhere}
li small{display:block;opacity:.75}
#stale{font-weight:600}
#problem{color:#d1242f}
.zoom{display:flex;gap:.5rem;margin-top:.5rem}.zoom button,.zoom select{width:auto}
`;

/** The map: one file that loads nothing from elsewhere. */
export const PAGE: string = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>District atlas</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
<header><h1>District atlas</h1><div id="health" role="status">connecting…</div></header>
<main>
<section aria-label="Map">
<svg id="map" role="img" aria-label="Map of districts; click for the districts of a position"></svg>
<div class="zoom"><button id="in" type="button">Zoom in</button><button id="out" type="button">Zoom out</button>
<select id="layer" aria-label="Layer"><option value="congressional">Congressional<option value="state_senate">State senate<option value="state_house">State house</select></div>
</section>
<section aria-label="Lookup">
<form id="lookup">
<label>Latitude<input name="lat" type="number" min="-90" max="90" step="any" required></label>
<label>Longitude<input name="lon" type="number" min="-180" max="180" step="any" required></label>
<button>Find districts</button>
</form>
<p id="problem" role="alert"></p>
<p id="stale" role="status"></p>
<ul id="districts" aria-live="polite"></ul>
</section>
</main>
<script>${SCRIPT}</script>
</html>
`;

const hashOf = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Permits what the page has in itself, and calls of this service. */
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
