// The dashboard: shows what the admin API tells, live. Nothing is decided here.
'use strict';

const $ = (id) => document.getElementById(id);
const state = { targets: new Map(), routes: new Map(), incidents: new Map(), gateway: null, now: Date.now() };
const rows = new Map();
const cards = new Map();
let only = null;
let opened = null;
let token = sessionStorage.getItem('unbroken-token') || '';

// ---- small things

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const shapes = {
  well: 'M6 1a5 5 0 1 0 0 10A5 5 0 1 0 6 1z',
  slow: 'M6 1L11.5 10.5H.5z',
  returning: 'M6 .5L11.5 6 6 11.5.5 6z',
  shut: 'M2 2h8v8H2z',
  held: 'M2 1.5h3v9H2zM7 1.5h3v9H7z',
  retired: 'M1.5 5h9v2h-9z',
};

function dot(health) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 12 12');
  svg.setAttribute('class', 'dot');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', shapes[health] || shapes.retired);
  svg.append(path);
  return svg;
}

const colours = new Map();

// Asked once per theme: a page with a thousand targets asks often.
function colour(name) {
  if (!colours.has(name)) colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return colours.get(name);
}

function duration(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return s.toFixed(1) + ' s';
  if (s < 120) return Math.round(s) + ' s';
  if (s < 7200) return Math.round(s / 60) + ' min';
  if (s < 172800) return (s / 3600).toFixed(1) + ' h';
  return Math.round(s / 86400) + ' days';
}

const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const sum = (list) => list.reduce((a, b) => a + b, 0);
const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;
const empty = () => new Array(60).fill(0);

function canvasOf(canvas) {
  const box = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  return [pen, box.width, box.height];
}

// ---- what comes from the gateway

async function ask(path, options = {}) {
  return fetch(path, { ...options, headers: { authorization: 'Bearer ' + token } });
}

function login(isWrong) {
  $('login-error').hidden = !isWrong;
  $('login').showModal();
}

$('login').addEventListener('cancel', (event) => event.preventDefault());
$('login').addEventListener('close', () => {
  token = $('token').value.trim();
  sessionStorage.setItem('unbroken-token', token);
  listen();
});

async function listen() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try {
      const answer = await ask('admin/live');
      if (answer.status === 401) return login(token !== '');
      if (answer.ok) {
        wait = 500;
        await read(answer.body.getReader());
      }
    } catch { /* it will be tried again */ }
    document.body.classList.add('lost');
    $('verdict').textContent = 'The gateway does not answer; trying again';
    await new Promise((go) => setTimeout(go, wait));
  }
}

async function read(reader) {
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const [event, data] = text.slice(0, end).split('\n').map((line) => line.slice(line.indexOf(':') + 2));
      (event === 'status' ? takeStatus : takeChange)(JSON.parse(data));
    }
  }
}

function takeStatus(status) {
  state.targets.clear();
  state.routes.clear();
  state.incidents.clear();
  state.gateway = status.gateway;
  state.now = status.now_ms;
  for (const target of status.targets) {
    const [answered, failed] = target.minute || [empty(), empty()];
    state.targets.set(target.target, { ...target, seconds: { answered, failed } });
  }
  for (const route of status.routes) state.routes.set(route.route, { ...route, flows: new Map() });
  for (const [name, target, seconds] of status.flows) state.routes.get(name)?.flows.set(target, seconds);
  for (const incident of status.incidents) state.incidents.set(incident.number, incident);
  for (const row of rows.values()) row.element.remove();
  rows.clear();
  drawAll();
}

function takeChange(change) {
  state.now = change.now_ms;
  if (change.gateway) state.gateway = change.gateway;
  for (const target of change.targets) {
    const before = state.targets.get(target.target);
    state.targets.set(target.target, { ...target, seconds: before?.seconds || { answered: empty(), failed: empty() } });
  }
  for (const route of change.routes) {
    state.routes.set(route.route, { ...route, flows: state.routes.get(route.route)?.flows || new Map() });
  }
  for (const incident of change.incidents) state.incidents.set(incident.number, incident);
  const counts = new Map(change.seconds.map(([target, answered, failed]) => [target, [answered, failed]]));
  for (const target of state.targets.values()) {
    const [answered, failed] = counts.get(target.target) || [0, 0];
    push(target.seconds.answered, answered);
    push(target.seconds.failed, failed);
  }
  for (const route of state.routes.values()) for (const seconds of route.flows.values()) push(seconds, 0);
  for (const [name, target, count] of change.flows) {
    const flows = state.routes.get(name)?.flows;
    if (!flows) continue;
    if (!flows.has(target)) flows.set(target, empty());
    flows.get(target)[59] = count;
  }
  drawAll();
}

function push(list, value) {
  list.shift();
  list.push(value);
}

// ---- the head

function drawHead() {
  const all = [...state.targets.values()].filter((target) => target.health !== 'retired');
  const ill = all.filter((target) => !target.usable);
  const lost = [...state.routes.values()].filter((route) => {
    const targets = route.tiers.flatMap((tier) => tier.targets.map((choice) => state.targets.get(choice.target)));
    return targets.length > 0 && targets.every((target) => target && !target.usable);
  });
  document.body.classList.toggle('lost', lost.length > 0);
  document.body.classList.toggle('trouble', lost.length === 0 && ill.length > 0);
  let text = all.length === 1 ? 'The target is well' : `All ${all.length} targets can be used`;
  if (all.length === 0) text = 'No call and no route yet';
  if (ill.length) text = `${ill.length} of ${plural(all.length, 'target', 'targets')} left alone; every route is answered`;
  if (lost.length) text = `${plural(lost.length, 'route has', 'routes have')} nobody left: ${lost[0].route}`;
  $('verdict').textContent = text;
  document.title = lost.length ? '✗ unbroken' : ill.length ? '! unbroken' : 'unbroken';
  const perSecond = sum([...state.routes.values()].map((route) => sum([...route.flows.values()].map((s) => sum(s.slice(-10)))))) / 10;
  const gateway = state.gateway;
  const facts = [
    ['answers', perSecond.toFixed(1) + '/s'],
    ['up', duration(state.now - gateway.started_ms)],
    ['configuration', '#' + gateway.configuration.generation],
    ['at', gateway.listen],
  ];
  $('facts').replaceChildren(...facts.map(([name, value]) => {
    const item = make('li', '', name + ' ');
    item.append(make('b', '', value));
    return item;
  }));
  const error = gateway.configuration.error;
  $('config-error').hidden = !error;
  $('config-error').textContent = error ? 'The configuration file is wrong; the one before goes on.\n' + error : '';
}

// ---- routes

const ROUTES_SHOWN = 12;

function drawRoutes() {
  const busy = (route) => sum([...route.flows.values()].map(sum));
  const list = [...state.routes.values()].sort((a, b) => (b.configured - a.configured) || busy(b) - busy(a) || (a.route < b.route ? -1 : 1));
  const shown = list.slice(0, ROUTES_SHOWN);
  for (const [name, card] of cards) {
    if (!shown.some((route) => route.route === name)) { card.element.remove(); cards.delete(name); }
  }
  for (const route of shown) drawRoute(route);
  let more = $('more-routes');
  if (!more) { more = make('p', 'more'); more.id = 'more-routes'; $('routes').after(more); }
  more.hidden = list.length <= shown.length;
  more.textContent = `and ${list.length - shown.length} quieter routes`;
}

function drawRoute(route) {
  let card = cards.get(route.route);
  if (!card) {
    const element = make('article', 'route');
    card = { element, head: make('h3'), canvas: make('canvas'), shares: make('div', 'shares'), chain: make('ul', 'chain'), bars: new Map() };
    card.canvas.setAttribute('aria-hidden', 'true');
    element.append(card.head, card.canvas, card.shares, card.chain);
    cards.set(route.route, card);
    $('routes').append(element);
  }
  const { order, flows } = layersOf(route, card);
  const recent = order.map((target) => sum(flows.get(target).slice(-10)));
  const all = sum(recent);
  card.head.replaceChildren(route.route, route.configured ? '' : make('em', '', 'from a model name'), make('span', '', all ? (all / 10).toFixed(1) + ' answers/s' : 'quiet'));
  order.forEach((target, index) => {
    let bar = card.bars.get(target);
    if (!bar) { bar = make('i'); card.bars.set(target, bar); card.shares.append(bar); }
    bar.style.background = colour('--c' + index);
    bar.style.flexGrow = all ? recent[index] / all : 0;
    bar.title = target;
  });
  const items = [];
  let left = 0;
  route.tiers.forEach((tier, number) => tier.targets.forEach((choice, place) => {
    const index = order.indexOf(choice.target);
    if (items.length >= CHAIN_SHOWN || (index < 0 && tier.targets.length > CHAIN_SHOWN)) { left++; return; }
    const target = state.targets.get(choice.target);
    const item = make('li', (number && !place ? 'then ' : '') + (target && !target.usable ? 'out' : ''));
    const swatch = make('span', 'swatch');
    swatch.style.background = colour('--c' + (index < 0 ? LAYERS - 1 : index));
    item.append(swatch, make('b', '', choice.target));
    if (all && index >= 0) item.append(Math.round(recent[index] / all * 100) + ' %');
    item.title = target ? target.words : 'never asked yet';
    items.push(item);
  }));
  if (left) items.push(make('li', '', `and ${left} more`));
  card.chain.replaceChildren(...items);
  drawFlow(card.canvas, order.map((target) => flows.get(target)));
}

const LAYERS = 8;
const CHAIN_SHOWN = 8;

// The targets that a route's picture shows: all of a short route, the busiest of a long one. A target
// keeps its place, and so its colour, while it is shown.
function layersOf(route, card) {
  const known = [...new Set([...route.tiers.flatMap((tier) => tier.targets.map((choice) => choice.target)), ...route.flows.keys()])];
  if (known.length <= LAYERS) {
    return { order: known, flows: new Map(known.map((target) => [target, route.flows.get(target) || empty()])) };
  }
  const busiest = [...route.flows].map(([target, seconds]) => [sum(seconds), target]).sort((a, b) => b[0] - a[0]).slice(0, LAYERS - 1).map(([, target]) => target);
  const stay = (card.order || []).filter((target) => busiest.includes(target));
  card.order = [...stay, ...busiest.filter((target) => !stay.includes(target))];
  const others = empty();
  for (const [target, seconds] of route.flows) {
    if (!card.order.includes(target)) seconds.forEach((count, i) => { others[i] += count; });
  }
  for (const [target, bar] of card.bars) if (target !== 'others' && !card.order.includes(target)) { bar.remove(); card.bars.delete(target); }
  const flows = new Map(card.order.map((target) => [target, route.flows.get(target)]));
  return { order: [...card.order, 'others'], flows: new Map([...flows, ['others', others]]) };
}

// Who answered, second by second, on top of each other.
function drawFlow(canvas, layers) {
  const [pen, w, h] = canvasOf(canvas);
  const smooth = layers.map((seconds) => seconds.map((_, i) => (seconds[i] * 2 + (seconds[i - 1] ?? seconds[i]) + (seconds[i + 1] ?? seconds[i])) / 4));
  const top = Math.max(1, ...smooth[0]?.map((_, i) => sum(smooth.map((layer) => layer[i]))) || [1]) * 1.12;
  const x = (i) => i / 59 * w;
  let floor = empty();
  smooth.forEach((layer, index) => {
    const roof = floor.map((value, i) => value + layer[i]);
    pen.beginPath();
    pen.moveTo(0, h);
    roof.forEach((value, i) => pen.lineTo(x(i), h - 1 - value / top * (h - 4)));
    [...floor].reverse().forEach((value, i) => pen.lineTo(x(59 - i), h - 1 - value / top * (h - 4)));
    pen.closePath();
    pen.fillStyle = colour('--c' + index);
    pen.globalAlpha = .82;
    pen.fill();
    floor = roof;
  });
  pen.globalAlpha = 1;
  pen.fillStyle = colour('--line');
  pen.fillRect(0, h - 1, w, 1);
}

// ---- targets

const ranks = { shut: 0, held: 1, returning: 2, slow: 3, well: 4, retired: 5 };
const names = { well: 'well', slow: 'slow', returning: 'returning', shut: 'left alone', held: 'held', retired: 'retired' };
const visible = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) { visible.add(entry.target.dataset.target); drawSpark(entry.target.dataset.target); }
    else visible.delete(entry.target.dataset.target);
  }
}, { rootMargin: '100px' });

function drawTargets() {
  for (const target of state.targets.values()) {
    let row = rows.get(target.target);
    if (!row) row = newRow(target.target);
    if (row.shown !== target) fillRow(row, target);
    fillReason(row, target);
    if (visible.has(target.target)) drawSpark(target.target);
  }
  arrange();
  drawLegend();
}

function newRow(name) {
  const element = make('li', 'target');
  element.dataset.target = name;
  element.tabIndex = 0;
  element.setAttribute('role', 'button');
  const row = { element, name: make('span', 'name'), badge: make('span', 'badge'), words: make('span'), latency: make('b'), gauge: make('span', 'gauge'), fill: make('i'), open: make('span', 'num'), canvas: make('canvas') };
  const why = make('span', 'why');
  why.append(row.badge, row.words);
  const latency = make('span', 'latency');
  row.gauge.append(row.fill, make('u'));
  latency.append(row.latency, row.gauge);
  const spark = make('span', 'spark');
  spark.append(row.canvas);
  element.append(row.name, why, spark, latency, row.open);
  element.addEventListener('click', () => openDrawer(name));
  rows.set(name, row);
  watcher.observe(element);
  return row;
}

function fillRow(row, target) {
  row.shown = target;
  row.element.dataset.health = target.health;
  row.name.replaceChildren(dot(target.health), make('b', '', target.target));
  row.badge.textContent = names[target.health];
  row.latency.textContent = target.first_token_ms === null ? '–' : target.first_token_ms + ' ms';
  const ratio = target.first_token_ms && target.baseline_ms ? target.first_token_ms / target.baseline_ms : 0;
  row.fill.style.width = Math.min(100, ratio * 40) + '%';
  row.gauge.classList.toggle('late', ratio > 1.6);
  row.gauge.title = target.baseline_ms === null ? 'nothing learned yet' : `usually ${target.baseline_ms} ms`;
  row.open.textContent = target.under_way || '';
}

// The reason, and how long it still lasts.
function reason(target) {
  const left = target.retry_at_ms && target.health === 'shut' ? target.retry_at_ms - state.now : 0;
  return target.words + (left > 0 ? `; asked again in ${duration(left)}` : '');
}

function fillReason(row, target) {
  const text = reason(target);
  if (row.text === text) return;
  row.text = text;
  // The badge has said the first part.
  row.words.textContent = text === 'well' ? '' : text.replace(/^left alone because |^well, though /, '');
  row.words.title = text;
  row.element.setAttribute('aria-label', `${target.target}: ${text}`);
  if (opened === target.target) fillDrawer();
}

function arrange() {
  const needle = $('filter').value.trim().toLowerCase();
  const list = [...state.targets.values()]
    .filter((target) => (!only || target.health === only) && (!needle || (target.target + ' ' + target.words).toLowerCase().includes(needle)))
    .sort((a, b) => ranks[a.health] - ranks[b.health] || (b.answered + b.failed > 0) - (a.answered + a.failed > 0) || (a.target < b.target ? -1 : 1));
  const order = list.map((target) => target.target).join('\n');
  $('no-targets').hidden = list.length > 0 || state.targets.size === 0;
  $('target-count').textContent = list.length === state.targets.size ? '' : `${list.length} of ${state.targets.size}`;
  if (arrange.order === order) return;
  arrange.order = order;
  const focused = document.activeElement?.dataset?.target;
  $('targets').replaceChildren(...list.map((target) => rows.get(target.target).element));
  if (focused) rows.get(focused)?.element.focus({ preventScroll: true });
}

function drawLegend() {
  const counts = {};
  for (const target of state.targets.values()) counts[target.health] = (counts[target.health] || 0) + 1;
  const key = JSON.stringify([counts, only]);
  if (drawLegend.key === key) return;
  drawLegend.key = key;
  $('legend').replaceChildren(...Object.keys(ranks).filter((health) => counts[health]).map((health) => {
    const button = make('button');
    button.type = 'button';
    button.dataset.health = health;
    button.setAttribute('aria-pressed', only === health);
    button.append(dot(health), `${counts[health]} ${names[health]}`);
    button.addEventListener('click', () => { only = only === health ? null : health; arrange(); drawLegend(); });
    return button;
  }));
}

// Attempts of the last minute: answered above, failed below the line.
function drawSpark(name) {
  const row = rows.get(name);
  const target = state.targets.get(name);
  if (!row || !target) return;
  const { answered, failed } = target.seconds;
  const top = Math.max(...answered, ...failed);
  if (top === 0 && row.blank) return;
  row.blank = top === 0;
  const [pen, w, h] = canvasOf(row.canvas);
  pen.fillStyle = colour('--line');
  pen.fillRect(0, h - 8, w, 1);
  const width = w / 60;
  for (let i = 0; i < 60; i++) {
    if (answered[i]) {
      const height = Math.max(1.5, answered[i] / top * (h - 9));
      pen.fillStyle = colour('--well');
      pen.fillRect(i * width, h - 8 - height, Math.max(1, width - 1), height);
    }
    if (failed[i]) {
      pen.fillStyle = colour('--shut');
      pen.fillRect(i * width, h - 6, Math.max(1, width - 1), Math.max(2.5, failed[i] / top * 6));
    }
  }
}

// ---- incidents

function drawIncidents() {
  const list = [...state.incidents.values()].sort((a, b) => b.number - a.number).slice(0, 50);
  $('no-incidents').hidden = list.length > 0;
  const open = list.filter((incident) => incident.ended_ms === null).length;
  $('incident-count').textContent = list.length ? (open ? `${open} going on` : 'none going on') : '';
  const key = list.map((incident) => incident.number).join();
  for (const incident of list) drawIncident(incident);
  if (drawIncidents.key !== key) {
    drawIncidents.key = key;
    $('incidents').replaceChildren(...list.map((incident) => incident.element));
  }
}

function drawIncident(incident) {
  const isOpen = incident.ended_ms === null;
  const took = (isOpen ? state.now : incident.ended_ms) - incident.began_ms;
  const key = isOpen ? Math.floor(took / 1000) : -1;
  if (!incident.element) {
    incident.element = drawIncident.elements?.get(incident.number) || make('li');
    (drawIncident.elements ||= new Map()).set(incident.number, incident.element);
    incident.drawn = null;
  }
  if (incident.drawn === key) return;
  const wasOpen = incident.element.querySelector('details')?.open;
  incident.drawn = key;
  const details = make('details', 'incident' + (isOpen ? ' now' : ''));
  details.open = wasOpen ?? isOpen;
  const summary = make('summary');
  const numbers = [isOpen ? `for ${duration(took)}` : `${clock(incident.began_ms)}, ${duration(took)}`];
  if (incident.victims) numbers.push(`noticed after ${duration(incident.detected_ms - incident.began_ms)}`, plural(incident.victims, 'attempt failed', 'attempts failed'));
  numbers.push(incident.client_failures ? plural(incident.client_failures, 'client saw it', 'clients saw it') : 'no client saw it');
  summary.append(dot(isOpen ? 'shut' : 'well'), make('b', '', `${incident.name}`), make('span', '', incident.words), make('span', 'numbers', numbers.join(' · ')));
  const story = make('ol', 'story');
  for (const line of incident.timeline) {
    const item = make('li', line.text.startsWith('over ') || line.text.startsWith('its time') ? 'end' : '');
    item.append(make('time', '', clock(line.at_ms)), line.text);
    story.append(item);
  }
  details.append(summary, story);
  const moved = Object.entries(incident.moved);
  if (moved.length) details.append(make('p', 'moved', 'Rescued by ' + moved.map(([target, count]) => `${target} (${count})`).join(', ')));
  incident.element.replaceChildren(details);
}

// ---- one target

const acts = [
  ['drain', 'Drain', 'nothing new; what is under way ends'],
  ['open', 'Shut', 'no traffic until released'],
  ['close', 'Keep in use', 'whatever happens there'],
  ['release', 'Release', 'leave it to the evidence'],
  ['reset', 'Reset', 'forget what speaks against it'],
];

function openDrawer(name) {
  rows.get(opened)?.element.classList.remove('open');
  opened = name;
  rows.get(name)?.element.classList.add('open');
  $('drawer').hidden = false;
  $('action-result').textContent = '';
  $('actions').replaceChildren(...acts.map(([action, label, text]) => {
    const button = make('button', '', label);
    button.type = 'button';
    button.append(make('small', '', text));
    button.addEventListener('click', () => act(button, action));
    return button;
  }));
  fillDrawer();
  whatIf(name);
}

function closeDrawer() {
  rows.get(opened)?.element.classList.remove('open');
  rows.get(opened)?.element.focus({ preventScroll: true });
  opened = null;
  $('drawer').hidden = true;
}

function fillDrawer() {
  const target = state.targets.get(opened);
  if (!target) return;
  $('drawer-title').textContent = target.target;
  $('drawer-words').textContent = reason(target);
  const facts = [
    ['breaker', target.state.replace('_', ' ')],
    ['evidence against it', Math.round(target.evidence * 100) + ' % of what trips'],
    ['share of its traffic', Math.round(target.share * 100) + ' %'],
    ['last minute', `${target.answered} answered, ${target.failed} failed`],
    ['first token', target.first_token_ms === null ? '–' : `${target.first_token_ms} ms, usually ${target.baseline_ms} ms`],
    ['under way', String(target.under_way)],
    ['last failure', target.last_failure || '–'],
  ];
  $('drawer-facts').replaceChildren(...facts.flatMap(([name, value]) => [make('dt', '', name), make('dd', '', value)]));
}

async function whatIf(name) {
  const answer = await ask('admin/what-if?target=' + encodeURIComponent(name));
  if (!answer.ok || opened !== name) return;
  const { routes } = await answer.json();
  $('what-if').replaceChildren(...routes.map((route) => {
    const item = make('li', route.to.length ? '' : 'bad');
    const shares = route.to.length > 1 ? ` (${route.to.slice(0, 6).map((to) => `${to.target} ${Math.round(to.share * 100)} %`).join(', ')})` : '';
    item.append(make('b', '', route.route), ': ' + route.words + shares, make('div', '', `${route.calls_per_minute} of its calls in the last minute`));
    return item;
  }));
  if (!routes.length) $('what-if').replaceChildren(make('li', '', 'No route uses it.'));
}

// The first press asks, the second acts.
async function act(button, action) {
  if (!button.classList.contains('sure')) {
    button.classList.add('sure');
    button.firstChild.textContent = 'Sure?';
    setTimeout(() => { button.classList.remove('sure'); button.firstChild.textContent = acts.find(([name]) => name === action)[1]; }, 3000);
    return;
  }
  const answer = await ask(`admin/targets/${action}?target=${encodeURIComponent(opened)}`, { method: 'POST' });
  const result = await answer.json();
  $('action-result').textContent = answer.ok ? `Done: ${action}` : result.error;
  whatIf(opened);
}

// ---- keys and theme

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  colours.clear();
  localStorage.setItem('unbroken-theme', theme);
  if (state.gateway) { for (const row of rows.values()) row.blank = false; drawAll(); }
}

function toggleTheme() {
  setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
}

function step(by) {
  const list = [...$('targets').children];
  const at = list.indexOf(document.activeElement);
  list[Math.max(0, Math.min(list.length - 1, at < 0 ? 0 : at + by))]?.focus();
}

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !$('drawer').hidden) return closeDrawer();
  const isTyping = event.target.tagName === 'INPUT';
  if (event.key === 'Escape' && isTyping) return event.target.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = { j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1), t: toggleTheme, '?': () => $('help').showModal(), '/': () => $('filter').focus() };
  if (event.key === 'Enter' && event.target.dataset?.target) { openDrawer(event.target.dataset.target); return event.preventDefault(); }
  if (event.key.startsWith('Arrow') && !event.target.dataset?.target) return;
  if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
});

$('theme').addEventListener('click', toggleTheme);
$('help-button').addEventListener('click', () => $('help').showModal());
$('drawer-close').addEventListener('click', closeDrawer);
$('filter').addEventListener('input', arrange);
window.addEventListener('resize', () => state.gateway && drawAll());

// A hidden page draws nothing; it catches up when it is looked at.
document.addEventListener('visibilitychange', () => state.gateway && drawAll());

function drawAll() {
  if (document.hidden) return;
  drawHead();
  drawRoutes();
  drawTargets();
  drawIncidents();
}

// A link may carry the token where no server sees it.
const linked = new URLSearchParams(location.hash.slice(1));
if (linked.get('token')) {
  token = linked.get('token');
  sessionStorage.setItem('unbroken-token', token);
  history.replaceState(null, '', location.pathname);
}
setTheme(linked.get('theme') || localStorage.getItem('unbroken-theme') || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
listen();
