/**
 * The script of the page. What comes from the server is only ever set as text, so that nothing of it is markup; the
 * content security policy permits this script alone.
 */
export const SCRIPT = `
'use strict';
const byId = (id) => document.getElementById(id);
const form = byId('search');
let offset = 0;
let latest = 0;

function parameters() {
  const result = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value.trim() !== '') result.set(name, value.trim());
  }
  return result;
}

function cell(row, text, isNumber) {
  const added = row.insertCell();
  added.textContent = text;
  if (isNumber) added.className = 'number';
}

function amount(bundle) {
  if (bundle.unlimited) return 'unlimited';
  return bundle.dataAmount >= 1000 ? bundle.dataAmount / 1000 + ' GB' : bundle.dataAmount + ' MB';
}

function showBundles(answer) {
  const body = byId('bundles');
  body.replaceChildren();
  for (const bundle of answer.bundles) {
    const row = body.insertRow();
    cell(row, bundle.name);
    cell(row, bundle.price.toFixed(2), true);
    cell(row, amount(bundle), true);
    cell(row, bundle.duration + ' d', true);
    const countries = bundle.countries.slice(0, 8).join(', ');
    cell(row, bundle.countries.length > 8 ? countries + ' +' + (bundle.countries.length - 8) : countries);
    cell(row, bundle.groups.join(', '));
  }
  const first = answer.bundles.length === 0 ? 0 : answer.offset + 1;
  const last = answer.offset + answer.bundles.length;
  byId('total').textContent =
    first + ' to ' + last + ' of ' + answer.total.toLocaleString('en') + ' bundles';
  byId('previous').disabled = answer.offset === 0;
  byId('next').disabled = last >= answer.total;
  for (const facet of ['country', 'region', 'group']) showFacet(facet, answer.facets[facet] || []);
}

function showFacet(facet, counts) {
  const select = form.elements[facet];
  const chosen = select.value;
  const any = new Option('any', '');
  const options = counts.map((each) => new Option(each.value + ' (' + each.count + ')', each.value));
  select.replaceChildren(any, ...options);
  if (chosen !== '' && !counts.some((each) => each.value === chosen)) select.add(new Option(chosen, chosen));
  select.value = chosen;
}

async function search() {
  const query = parameters();
  history.replaceState(null, '', '?' + query);
  query.set('offset', offset);
  query.set('facets', 'country,region,group');
  const own = ++latest;
  let text = '';
  try {
    const response = await fetch('bundles?' + query);
    const answer = await response.json();
    // A later search has overtaken this one.
    if (own !== latest) return;
    if (response.ok) showBundles(answer);
    else text = answer.detail;
  } catch (error) {
    if (own !== latest) return;
    text = 'The service does not answer: ' + error.message;
  }
  byId('problem').textContent = text;
}

function age(ms) {
  const minutes = Math.round(ms / 60000);
  if (minutes < 2) return Math.round(ms / 1000) + ' s';
  if (minutes < 120) return minutes + ' min';
  return minutes < 2880 ? Math.round(minutes / 60) + ' h' : Math.round(minutes / 1440) + ' d';
}

let served;
function showStatus(status) {
  const state = byId('state');
  state.dataset.health = status.health;
  const origin = status.origin;
  state.textContent =
    origin === null
      ? 'nothing is served yet'
      : 'generation ' + origin.generation + ' from ' + origin.source + ', ' + age(origin.ageMs) + ' old' +
        (origin.stale ? ', stale' : '') + (origin.complete ? '' : ', incomplete');
  const sync = status.sync;
  byId('sync').hidden = sync === null;
  if (sync !== null) {
    const bar = byId('progress');
    if (sync.expectedRows > 0) {
      bar.max = sync.expectedRows;
      bar.value = Math.min(sync.rows, sync.expectedRows);
    } else bar.removeAttribute('value');
    byId('phase').textContent =
      sync.phase + ': ' + sync.rows.toLocaleString('en') + ' bundles, ' + sync.pages + ' pages';
  }
  const last = status.lastSync;
  byId('last').textContent =
    last === null
      ? ''
      : 'Last sync ' + new Date(last.atEpochMs).toLocaleString() + ', ' + age(last.durationMs) +
        (last.error === null ? '' : ': ' + last.error.message);
  const generation = origin === null ? undefined : origin.generation;
  if (generation !== undefined && served !== undefined && generation !== served) search();
  if (generation !== undefined && served === undefined && byId('problem').textContent !== '') search();
  served = generation;
}

async function poll() {
  try {
    showStatus(await (await fetch('status')).json());
  } catch {
    byId('state').dataset.health = 'fail';
    byId('state').textContent = 'the service does not answer';
  }
}

function listen() {
  const events = new EventSource('events');
  events.addEventListener('status', (event) => showStatus(JSON.parse(event.data)));
  events.addEventListener('error', () => {
    poll();
    // The browser connects again by itself, but not after a refusal.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  offset = 0;
  search();
});
form.addEventListener('change', () => form.requestSubmit());
for (const [id, sign] of [['previous', -1], ['next', 1]]) {
  byId(id).addEventListener('click', () => {
    offset = Math.max(0, offset + sign * 20);
    search();
  });
}
for (const [name, value] of new URLSearchParams(location.search)) {
  const field = form.elements[name];
  if (field === undefined) continue;
  if (field.tagName === 'SELECT' && ![...field.options].some((each) => each.value === value)) {
    field.add(new Option(value, value));
  }
  field.value = value;
}
search();
listen();
`;
