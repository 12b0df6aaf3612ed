/** The style of the page; no sequence that HTML would read. */
export const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
header, form, .pager { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: end; }
header { justify-content: space-between; }
label { display: grid; font-size: .85rem; }
label.wide { flex: 1 1 16rem; }
input, select, button { font: inherit; padding: .3rem .5rem; }
input[type=number] { width: 7rem; }
#state[data-health=pass] { color: #0a7a35; }
#state[data-health=warn] { color: #a86200; }
#state[data-health=fail], #problem { color: #c0232c; }
#problem:empty, #sync[hidden] { display: none; }
progress { width: 14rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
td { overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
@media (prefers-color-scheme: dark) {
  #state[data-health=pass] { color: #5fd38a; }
  #state[data-health=warn] { color: #ffb45c; }
  #state[data-health=fail], #problem { color: #ff8f8f; }
}
`;
