/**
 * The page's only script: opens the detail of a scenario, sorts and filters. Without it the page shows everything.
 * A query consists of words that must all occur; `s:failed` selects a status, `server:"…"` and `fault:"…"` a cell
 * of the grid. The query is part of the URL, so that a filtered page can be linked to.
 */
export const script = `
'use strict';
for (const button of document.querySelectorAll('.row button')) {
  const row = button.closest('tr');
  const detail = row.nextElementSibling;
  const show = (open) => { detail.hidden = !open; button.setAttribute('aria-expanded', String(open)); };
  show(row.parentElement.matches('.lost,.failed'));
  row.classList.add('opens');
  row.addEventListener('click', () => { if (String(getSelection()) === '') show(detail.hidden); });
}

const units = { ms: 1, s: 1e3, min: 6e4 };
const valueOf = (text) => {
  const parts = [...text.matchAll(/(-?[\\d.]+) ?(ms|s|min)?/g)];
  if (parts.length === 0 || !/^[-\\d]/.test(text)) return NaN;
  return parts.reduce((sum, [, figure, unit]) => sum + Number(figure) * (units[unit] ?? 1), 0);
};
const order = ['lost', 'failed', 'recovered', 'detected', 'passed'];
const keyOf = (body, column) => {
  if (column === 0) return order.indexOf(body.className);
  const text = body.rows[0].cells[column].textContent;
  const value = valueOf(text);
  return Number.isNaN(value) ? text.toLowerCase() : value;
};
const compare = (a, b) => typeof a === typeof b
  ? (a < b ? -1 : a > b ? 1 : 0)
  : typeof a === 'number' ? -1 : 1;
for (const button of document.querySelectorAll('thead button')) {
  button.addEventListener('click', () => {
    const column = Number(button.dataset.column);
    const up = button.parentElement.getAttribute('aria-sort') !== 'ascending';
    for (const table of document.querySelectorAll('.scenarios')) {
      [...table.tHead.rows[0].cells].forEach((cell, index) => {
        if (index === column) cell.setAttribute('aria-sort', up ? 'ascending' : 'descending');
        else cell.removeAttribute('aria-sort');
      });
      const keyed = [...table.tBodies].map((body) => ({ body, key: keyOf(body, column) }));
      keyed.sort((a, b) => up ? compare(a.key, b.key) : compare(b.key, a.key));
      table.append(...keyed.map(({ body }) => body));
    }
  });
}

const input = document.getElementById('filter');
const output = document.getElementById('shown');
const items = [...document.querySelectorAll('.scenarios tbody, .tests li')].map((element) => ({
  element,
  group: element.closest('details'),
  isTest: element.matches('li'),
  status: element.className || 'passed',
  server: (element.dataset.server ?? '').toLowerCase(),
  fault: (element.dataset.fault ?? '').toLowerCase(),
  text: element.textContent.toLowerCase(),
}));
const groups = [...document.querySelectorAll('.family, .file')].map((element) => ({
  element,
  text: element.querySelector('summary').textContent.toLowerCase(),
  wasOpen: element.open,
}));
const titles = new Map(groups.map(({ element, text }) => [element, text]));
const holds = (item, [, key, quoted, word]) => {
  const wanted = quoted ?? word;
  if (key === 's') return item.status === wanted;
  if (key === 'server' || key === 'fault') return item[key].startsWith(wanted);
  const sought = key === undefined ? wanted : key + ':' + wanted;
  return item.text.includes(sought) || titles.get(item.group).includes(sought);
};
const filter = () => {
  const words = [...input.value.toLowerCase().matchAll(/(?:([a-z]+):)?(?:"([^"]*)"|([^\\s"]+))/g)];
  const alive = new Set();
  const shown = { scenarios: 0, tests: 0, bad: 0 };
  for (const item of items) {
    const kept = words.every((word) => holds(item, word));
    item.element.hidden = !kept;
    if (!kept) continue;
    alive.add(item.group);
    shown[item.isTest ? 'tests' : 'scenarios'] += 1;
    if (item.status === 'failed' || item.status === 'lost') shown.bad += 1;
  }
  for (const { element, wasOpen } of groups) {
    element.hidden = !alive.has(element);
    element.open = words.length === 0 ? wasOpen : true;
  }
  const all = items.filter(({ isTest }) => !isTest).length;
  output.textContent = shown.scenarios + ' of ' + all + ' scenarios, ' + shown.tests + ' of ' +
    (items.length - all) + ' tests' + (shown.bad > 0 ? ', ' + shown.bad + ' lost or failed' : '');
  for (const cell of document.querySelectorAll('.cell')) {
    cell.setAttribute('aria-pressed', String(cell.dataset.filter === input.value));
  }
};
const apply = () => {
  filter();
  history.replaceState(null, '', '#' + encodeURIComponent(input.value));
};
input.addEventListener('input', apply);
for (const cell of document.querySelectorAll('.cell')) {
  cell.addEventListener('click', () => {
    input.value = input.value === cell.dataset.filter ? '' : cell.dataset.filter;
    apply();
  });
}
try { input.value = decodeURIComponent(location.hash.slice(1)); } catch { input.value = ''; }
filter();
`;
