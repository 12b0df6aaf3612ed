/** The script of the map. What comes from districts is only ever text. */
export const SCRIPT: string = `
const map = document.getElementById('map');
const byId = (id) => document.getElementById(id);
const form = byId('lookup');
const drawing = (name) => document.createElementNS('http://www.w3.org/2000/svg', name);
let view = { lat: 39, lon: -98, height: 40 };
let found = new Set();
let point;
let isFramed = false;
const box = () => {
  const { lat, lon, height } = view;
  return { west: lon - height * 2 / 3, east: lon + height * 2 / 3, south: lat - height / 2, north: lat + height / 2 };
};
const ringPath = (ring) => 'M' + ring.map(([x, y]) => x + ' ' + -y).join('L') + 'Z';
const geometryPath = ({ type, coordinates }) =>
  (type === 'Polygon' ? [coordinates] : coordinates).flat().map(ringPath).join('');
let features = [];
function draw() {
  const { west, east, south, north } = box();
  map.setAttribute('viewBox', [west, -north, east - west, north - south].join(' '));
  const wanted = byId('layer').value;
  map.replaceChildren(...features.filter(({ properties }) => properties.layer === wanted).map((feature) => {
    const path = drawing('path');
    path.setAttribute('d', geometryPath(feature.geometry));
    if (found.has(feature.id)) path.classList.add('found');
    const title = drawing('title');
    title.textContent = feature.properties.name;
    path.append(title);
    return path;
  }));
  if (point === undefined) return;
  const circle = drawing('circle');
  circle.setAttribute('cx', point.lon);
  circle.setAttribute('cy', -point.lat);
  circle.setAttribute('r', view.height / 100);
  map.append(circle);
}
async function load() {
  const query = new URLSearchParams(Object.entries(box()));
  const response = await fetch('/districts?' + query);
  if (response.ok) features = (await response.json()).features;
  if (!isFramed && features.length > 0) frame();
  draw();
}
function frame() {
  isFramed = true;
  const positions = features.flatMap(({ geometry }) => geometry.coordinates.flat(geometry.type === 'Polygon' ? 1 : 2));
  const xs = positions.map(([x]) => x), ys = positions.map(([, y]) => y);
  const least = (list) => list.reduce((a, b) => Math.min(a, b)), most = (list) => list.reduce((a, b) => Math.max(a, b));
  const [west, east, south, north] = [least(xs), most(xs), least(ys), most(ys)];
  view = { lat: (south + north) / 2, lon: (west + east) / 2, height: 1.1 * Math.max(north - south, (east - west) * 3 / 4) };
}
async function lookup(lat, lon) {
  byId('problem').textContent = '';
  byId('stale').textContent = '';
  const response = await fetch('/lookup?' + new URLSearchParams({ lat, lon })).catch(() => undefined);
  const answer = response && await response.json().catch(() => undefined);
  void health();
  if (!response || !response.ok || !answer) {
    byId('problem').textContent = answer?.error ? answer.error.code + ': ' + answer.error.message : 'the service does not answer';
    return;
  }
  point = { lat: answer.lat, lon: answer.lon };
  found = new Set(answer.districts.map(({ id }) => id));
  if (answer.stale) byId('stale').textContent = 'Stale: ' + Math.round(answer.ageMs / 1000) + ' s old';
  const entries = answer.districts.map(({ name, state, layer, isOnBoundary }) => {
    const entry = document.createElement('li');
    const detail = document.createElement('small');
    entry.textContent = name;
    detail.textContent = state + ', ' + layer.replace('_', ' ') + (isOnBoundary ? ', on the boundary' : '');
    entry.append(detail);
    return entry;
  });
  const none = document.createElement('li');
  none.textContent = 'no district here';
  byId('districts').replaceChildren(...(entries.length > 0 ? entries : [none]));
  draw();
}
async function health() {
  const response = await fetch('/health').catch(() => undefined);
  const state = response && await response.json().catch(() => undefined);
  byId('health').textContent = state ? state.level : 'the service does not answer';
}
map.addEventListener('click', (event) => {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
  form.lat.value = (-at.y).toFixed(5);
  form.lon.value = at.x.toFixed(5);
  form.requestSubmit();
});
form.addEventListener('submit', (event) => {
  event.preventDefault();
  void lookup(form.lat.value, form.lon.value);
});
const zoom = (factor) => { if (point) view = { ...view, ...point }; view.height *= factor; void load(); };
byId('in').addEventListener('click', () => zoom(0.5));
byId('out').addEventListener('click', () => zoom(2));
byId('layer').addEventListener('change', draw);
void load();
void health();
`;
