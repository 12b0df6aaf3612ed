/** The page's only style sheet; light or dark as set by the reader's system. */
export const style = `
:root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1d2429;--soft:#66727a;--line:#e4e7e8;--hover:#f3f6f6;--accent:#0f766e;--good:#15803d;--doubtful:#a16207;--bad:#c02626;--outage:#c0262618}
@media(prefers-color-scheme:dark){:root{--ground:#12171a;--card:#181f23;--ink:#e4e9eb;--soft:#93a1a9;--line:#2a343a;--hover:#1f282d;--accent:#5eead4;--good:#4ade80;--doubtful:#facc15;--bad:#f87171;--outage:#f8717126}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:1240px;margin:0 auto;padding:0 28px}
header{padding-top:40px}
main{padding-bottom:64px}
.brand{margin:0;color:var(--accent);font-weight:600;letter-spacing:.02em}
h1{margin:2px 0 18px;font-size:30px;font-weight:650;letter-spacing:-.015em;line-height:1.2}
h2{margin:40px 0 12px;font-size:18px;font-weight:600}
small{margin-left:6px;color:var(--soft);font-size:13px;font-weight:400}
.totals{display:flex;gap:28px;margin:0 0 8px;padding:0;list-style:none;color:var(--soft)}
.totals b{margin-right:2px;font-size:24px;font-weight:600;font-variant-numeric:tabular-nums}
.totals .passed b,.good{color:var(--good)}
.totals .failed b,.bad{color:var(--bad);font-weight:600}
.totals .skipped b,.doubtful{color:var(--doubtful)}
.facts{margin:0;color:var(--soft);font-size:13px}
.warning{margin:10px 0 0;padding:8px 12px;border-left:3px solid var(--doubtful);background:var(--card)}
.filter{display:block;margin-top:22px}
.filter span{position:absolute;clip-path:inset(50%)}
input{width:100%;max-width:420px;padding:9px 12px;border:1px solid var(--line);border-radius:8px;background:var(--card);color:inherit;font:inherit}
:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:10px;background:var(--card)}
table{width:100%;border-collapse:collapse;font-size:14px}
th,td{padding:10px 14px;text-align:left;vertical-align:top}
th{color:var(--soft);font-size:12px;font-weight:500;vertical-align:bottom}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th.n{white-space:normal}
tbody{border-top:1px solid var(--line)}
.row{cursor:pointer}
.row:hover{background:var(--hover)}
.scenarios .row>td:first-child{min-width:250px}
.scenarios .row>td:nth-child(2){min-width:170px}
button{padding:0;border:0;background:none;color:inherit;font:inherit;text-align:left;cursor:pointer}
.family{display:block;color:var(--soft);font-size:12px}
.name{font-weight:500}
.detail>td{padding:0 14px 18px}
.detail p{max-width:75ch;margin:0 0 8px}
.detail ol{margin:0 0 10px;padding-left:26px;font-size:13px;columns:2 300px}
.detail li::marker{color:var(--soft)}
time{color:var(--soft);font-variant-numeric:tabular-nums;white-space:nowrap}
svg{display:block;width:100%;max-width:860px;height:auto;margin:4px 0 8px;font:11px system-ui,sans-serif}
svg text{fill:var(--soft)}
svg .axis{stroke:var(--line);stroke-width:2}
svg .outage{fill:var(--outage)}
svg .fault{stroke:var(--bad);stroke-width:2}
svg .recovered{stroke:var(--good);stroke-width:2}
svg .detected{stroke:var(--doubtful);stroke-dasharray:3 3}
svg circle{fill:var(--card);stroke:var(--accent);stroke-width:1.5}
svg circle+text{fill:var(--ink);font-size:9px;text-anchor:middle}
.file{margin-bottom:8px;border:1px solid var(--line);border-radius:10px;background:var(--card)}
summary{display:flex;flex-wrap:wrap;justify-content:space-between;gap:4px 16px;padding:10px 14px;cursor:pointer}
summary:hover{background:var(--hover);border-radius:10px}
.path{font:13px/1.6 ui-monospace,SFMono-Regular,Menlo,monospace}
.tests{margin:0;padding:0 14px 8px;list-style:none;font-size:14px}
.tests li{display:grid;grid-template-columns:18px 1fr auto;gap:0 6px;padding:6px 0;border-top:1px solid var(--line)}
.tests li::before{content:"✓";color:var(--good)}
.tests .failed::before{content:"✕";color:var(--bad)}
.tests .skipped::before{content:"–";color:var(--soft)}
.tests .skipped span{color:var(--soft)}
em{color:var(--doubtful);font-size:12px}
pre{grid-column:2/-1;max-height:420px;margin:6px 0 2px;padding:12px;overflow:auto;border-radius:8px;background:var(--ground);font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
[hidden]{display:none!important}
@media print{.filter{display:none}.wide{overflow:visible}}
`;
