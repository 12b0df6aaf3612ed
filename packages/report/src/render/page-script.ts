/**
 * The page's only script: opens the detail of a scenario, and filters. Without it the page shows everything.
 * A query consists of words that must all occur; `s:failed` selects a status. The query is part of the URL, so
 * that a filtered page can be linked to.
 */
export const script = `
'use strict';
for (const row of document.querySelectorAll('.row')) {
  const detail = row.nextElementSibling;
  const button = row.querySelector('button');
  const show = (open) => { detail.hidden = !open; button.setAttribute('aria-expanded', String(open)); };
  show(false);
  row.addEventListener('click', () => { if (String(getSelection()) === '') show(detail.hidden); });
}
const input = document.getElementById('filter');
const items = [...document.querySelectorAll('tbody, .tests li')].map((element) => ({
  element,
  file: element.closest('.file'),
  status: element.className || (element.matches('li') ? 'passed' : ''),
  text: element.textContent.toLowerCase(),
}));
const files = [...document.querySelectorAll('.file')].map((element) => ({
  element,
  path: element.querySelector('summary').textContent.toLowerCase(),
  wasOpen: element.open,
}));
const paths = new Map(files.map(({ element, path }) => [element, path]));
const filter = () => {
  const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const holds = ({ file, status, text }) => words.every((word) => word.startsWith('s:')
    ? status === word.slice(2)
    : text.includes(word) || (paths.get(file) ?? '').includes(word));
  const alive = new Set();
  for (const item of items) {
    const kept = holds(item);
    item.element.hidden = !kept;
    if (kept && item.file) alive.add(item.file);
  }
  for (const { element, wasOpen } of files) {
    element.hidden = !alive.has(element);
    element.open = words.length === 0 ? wasOpen : true;
  }
};
input.addEventListener('input', () => {
  filter();
  history.replaceState(null, '', '#' + encodeURIComponent(input.value));
});
try { input.value = decodeURIComponent(location.hash.slice(1)); } catch { input.value = ''; }
filter();
`;
