/** The page's only style sheet; light or dark as set by the reader's system. */
export const style = `
:root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1d2429;--soft:#56626a;--line:#dfe3e5;--hover:#f1f4f4;--accent:#0f766e;--good:#15703a;--doubtful:#8a5300;--bad:#b91c1c;--outage:#c0262626;--recovering:#d9770620;--load:#0f766e26;--good-ground:#15803d14;--bad-ground:#c026261a}
@media(prefers-color-scheme:dark){:root{--ground:#12171a;--card:#181f23;--ink:#e4e9eb;--soft:#9fadb5;--line:#2d383e;--hover:#1f282d;--accent:#5eead4;--good:#4ade80;--doubtful:#facc15;--bad:#fca5a5;--outage:#f8717133;--recovering:#facc151f;--load:#5eead42b;--good-ground:#4ade8014;--bad-ground:#f8717126}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:1320px;margin:0 auto;padding:0 28px}
header{padding-top:36px}
main{padding-bottom:64px}
.brand{margin:0;color:var(--accent);font-weight:600;letter-spacing:.02em}
h1{margin:2px 0 14px;font-size:30px;font-weight:650;letter-spacing:-.015em;line-height:1.2}
h1::first-letter{text-transform:uppercase}
h2{margin:36px 0 12px;font-size:18px;font-weight:600}
h3{margin:0;font-size:15px;font-weight:600;overflow-wrap:anywhere}
small{margin-left:6px;color:var(--soft);font-size:13px;font-weight:400}
.totals{display:flex;flex-wrap:wrap;gap:6px 28px;margin:0 0 8px;padding:0;list-style:none;color:var(--soft)}
.totals b{margin-right:2px;font-size:24px;font-weight:600;font-variant-numeric:tabular-nums}
.totals .passed b,.good,span.recovered,span.detected,span.passed,tbody .outcome{color:var(--good)}
.totals .failed b,.bad,span.lost,span.failed{color:var(--bad);font-weight:600}
.totals .skipped b,.doubtful{color:var(--doubtful)}
.facts{margin:0;color:var(--soft);font-size:13px}
.warning{margin:10px 0 0;padding:8px 12px;border-left:3px solid var(--doubtful);background:var(--card)}
.filter{position:sticky;top:0;z-index:2;display:flex;flex-wrap:wrap;align-items:center;gap:6px 12px;margin-top:28px;padding:10px 0;background:var(--ground)}
.filter label{font-weight:600}
input{flex:1 1 240px;max-width:460px;min-width:0;padding:8px 12px;border:1px solid var(--soft);border-radius:8px;background:var(--card);color:inherit;font:inherit}
input::placeholder{color:var(--soft);opacity:1}
output{color:var(--soft);font-size:13px;font-variant-numeric:tabular-nums}
:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
.wide,.picture{overflow-x:auto}
.wide{border:1px solid var(--line);border-radius:10px;background:var(--card)}
table{width:100%;border-collapse:collapse;font-size:14px}
th,td{padding:9px 12px;text-align:left;vertical-align:top;font-weight:400}
thead th{color:var(--soft);font-size:12px;font-weight:500;vertical-align:bottom}
.grid{width:auto}
.grid th[scope=row]{position:sticky;left:0;background:var(--card);font-weight:600;white-space:nowrap}
.grid td{padding:3px}
.cell{min-width:84px;padding:5px 10px;border:1px solid transparent;border-radius:7px;background:var(--good-ground);color:var(--good);font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
.cell small{display:block;margin:0;color:inherit;font-size:12px}
.cell.lost,.cell.failed{background:var(--bad-ground);color:var(--bad)}
.cell[aria-pressed=true]{border-color:currentColor}
.scenarios tbody{border-top:1px solid var(--line)}
.scenarios .outcome{width:106px;white-space:nowrap}
.scenarios tbody th{min-width:250px;font-weight:500}
.scenarios td:nth-child(3){width:24%;min-width:150px}
.scenarios td:nth-child(n+4),thead .n{width:92px;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead .n{min-width:92px}
thead .n,thead .n button{white-space:normal;text-align:right}
tbody.lost .outcome,tbody.failed .outcome{color:var(--bad);font-weight:600}
tbody.lost .row,tbody.failed .row{background:var(--bad-ground)}
.opens{cursor:pointer}
.opens:hover{background:var(--hover)}
button{padding:0;border:0;background:none;color:inherit;font:inherit;text-align:left;cursor:pointer}
th button{min-height:24px}
thead button::after{content:" ↕";opacity:.65}
[aria-sort=ascending] button::after{content:" ↑";opacity:1}
[aria-sort=descending] button::after{content:" ↓";opacity:1}
.name{font-weight:600}
.detail>td{padding:10px 12px 18px;white-space:normal!important;text-align:left!important}
.detail>td>div{position:sticky;left:12px;max-width:calc(100vw - 84px)}
.detail p{max-width:75ch;margin:0 0 8px}
.detail ol{margin:0 0 10px;padding-left:26px;font-size:13px;columns:2 300px}
.detail li::marker{color:var(--soft)}
time{color:var(--soft);font-variant-numeric:tabular-nums;white-space:nowrap}
svg{display:block;height:auto;margin:4px 0 8px;font:12px system-ui,sans-serif}
.picture svg{width:100%;min-width:600px;max-width:940px}
.bars{max-width:100%}
svg text{fill:var(--soft)}
svg .axis{stroke:var(--line);stroke-width:2}
svg .outage{fill:var(--outage)}
svg .recovering{fill:var(--recovering)}
svg .load{fill:var(--load);stroke:var(--accent);stroke-width:1}
svg .errors,svg .worse{fill:var(--bad)}
svg .fine{fill:var(--accent)}
svg .fault{stroke:var(--bad);stroke-width:2}
svg path.recovered{stroke:var(--good);stroke-width:2}
svg .detected{stroke:var(--doubtful);stroke-dasharray:3 3}
svg circle{fill:var(--card);stroke:var(--accent);stroke-width:1.5}
svg circle+text{fill:var(--ink);font-size:9px;text-anchor:middle}
.changes{margin:0 0 10px;padding:0;list-style:none;font-size:14px;overflow-wrap:anywhere}
.failure,.file,.family{margin-bottom:10px;border:1px solid var(--line);border-radius:10px;background:var(--card)}
.failure{padding:12px 14px;border-left:3px solid var(--bad)}
.failure details{margin-top:6px}
.failure summary{padding:4px 0;font-size:14px}
.family .wide{border-width:1px 0 0;border-radius:0 0 10px 10px}
.family>.facts,.file>.facts{padding:8px 14px}
.replay{display:block;margin:8px 0;padding:8px 12px;border-radius:8px;background:var(--ground);font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere;user-select:all}
.replay::before{content:"$ ";color:var(--soft)}
summary{display:flex;flex-wrap:wrap;gap:4px 10px;list-style:none;padding:10px 14px;border-radius:10px;cursor:pointer}
summary::before{content:"▸";color:var(--soft)}
[open]>summary::before{content:"▾"}
summary>span:first-child{flex:1 1 60%}
summary .facts{margin-left:auto}
summary:hover{background:var(--hover)}
.path{font:13px/1.6 ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
.tests{margin:0;padding:0 14px 8px;list-style:none;font-size:14px}
.tests li{display:grid;grid-template-columns:18px 1fr auto;gap:0 6px;padding:6px 0;border-top:1px solid var(--line);overflow-wrap:anywhere}
.tests li::before{content:"✓";color:var(--good)}
.tests .failed::before{content:"✕";color:var(--bad)}
.tests .skipped::before{content:"–";color:var(--soft)}
.tests .skipped span{color:var(--soft)}
em{color:var(--doubtful);font-size:12px}
pre{max-height:420px;margin:6px 0 2px;padding:12px;overflow:auto;border-radius:8px;background:var(--ground);font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
.environment{display:grid;grid-template-columns:repeat(auto-fill,minmax(260px,1fr));gap:6px 24px;margin:0}
.environment div{display:flex;justify-content:space-between;gap:12px;border-bottom:1px solid var(--line)}
dt{color:var(--soft)}
dd{margin:0;text-align:right;overflow-wrap:anywhere}
[hidden]{display:none!important}
@media(max-width:600px){.detail>td>div{max-width:calc(100vw - 54px)}header,main{padding:0 14px}header{padding-top:22px}h1{font-size:24px}.grid th,.grid td{font-size:13px}.filter{position:static}}
@media print{.filter{display:none}.wide{overflow:visible}}
`;
