// The state of the stack, drawn from what Prometheus answers; looked at again every few seconds.
const EVERY = 5000;
const HISTORY = 30 * 60;

const stack = await (await fetch('stack.json')).json();
const hosts = [...stack.balancers, ...stack.web, ...stack.db, ...stack.monitoring];
const backend = `proxy=${JSON.stringify(stack.backend)}`;

/** What is asked each time, as PromQL. */
const QUERIES = {
  up: 'up',
  cpu: '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[2m]))',
  memory: '1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes',
  disk: 'max by (instance) (1 - node_filesystem_avail_bytes / node_filesystem_size_bytes)',
  certificate: 'min by (instance) (tls_certificate_not_after_seconds) - time()',
  holders: 'node_network_address_info',
  servers: `haproxy_server_status{${backend}} == 1`,
  perServer: `sum by (server) (rate(haproxy_server_http_responses_total{${backend}}[1m]))`,
  perBalancer: `sum by (instance) (rate(haproxy_backend_http_responses_total{${backend}}[1m]))`,
  sessions: 'haproxy_process_current_connections',
  readOnly: 'mysql_global_variables_read_only',
  io: 'mysql_slave_status_slave_io_running',
  sql: 'mysql_slave_status_slave_sql_running',
  lag: 'mysql_slave_status_seconds_behind_master',
  connections: 'mysql_global_status_threads_connected / mysql_global_variables_max_connections',
  queries: 'rate(mysql_global_status_queries[1m])',
  backup: 'time() - backup_last_success_timestamp_seconds',
};

/** The figures above the hosts, each with its course over the last half hour. */
const FIGURES = [
  { name: 'Requests a second', query: `sum(rate(haproxy_backend_http_responses_total{${backend}}[1m]))`, say: number },
  {
    name: 'Failed requests',
    query: `(sum(rate(haproxy_backend_http_responses_total{${backend},code="5xx"}[1m])) / (sum(rate(haproxy_backend_http_responses_total{${backend}}[1m])) > 0)) or vector(0)`,
    say: percent,
    ill: (value) => value > 0.01,
  },
  { name: 'Time to answer', query: `max(haproxy_backend_response_time_average_seconds{${backend}})`, say: duration, ill: (value) => value > 1 },
  { name: 'Open connections', query: 'sum(haproxy_process_current_connections)', say: number },
];

async function ask(path, parameters) {
  const response = await fetch(`${stack.prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`, { signal: AbortSignal.timeout(4000) });
  const answer = await response.json();
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer.data;
}

/** Samples of a query, as { labels, value }. */
async function samples(query) {
  const { result } = await ask('query', { query });
  return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

/** Values by host, for queries that give one for each. */
const byHost = (list) => new Map(list.map(({ labels, value }) => [labels.instance, value]));

function number(value) {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 || value === Math.round(value) ? 0 : 1);
}
function percent(value) {
  return `${(value * 100).toFixed(value > 0 && value < 0.01 ? 1 : 0)} %`;
}
function duration(seconds) {
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${number(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

/** An element; texts are texts, never markup: label values come from hosts. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}
const chip = (text, kind = '') => element('span', { class: `chip ${kind}` }, text);

/** A line over the last half hour, from zero to the highest value. */
function sparkline(values) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', `0 0 ${HISTORY} 40`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const highest = Math.max(...values.map(([, value]) => value), Number.MIN_VALUE);
  const line = document.createElementNS(svg.namespaceURI, 'polyline');
  for (const [name, value] of Object.entries({ fill: 'none', stroke: 'currentColor', 'stroke-width': 2, 'vector-effect': 'non-scaling-stroke', points: values.map(([x, value]) => `${x.toFixed(0)},${(38 - (value / highest) * 36).toFixed(1)}`).join(' ') })) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}

async function drawFigures() {
  const end = Date.now() / 1000;
  const start = end - HISTORY;
  const drawn = await Promise.all(
    FIGURES.map(async ({ name, query, say, ill }) => {
      const { result } = await ask('query_range', { query, start, end, step: 15 });
      const values = (result[0]?.values ?? []).map(([at, value]) => [at - start, Number(value)]).filter(([, value]) => Number.isFinite(value));
      const last = values.at(-1)?.[1];
      return element('div', { class: `figure${last !== undefined && ill?.(last) ? ' ill' : ''}` }, element('h2', {}, name), element('output', {}, last === undefined ? '–' : say(last)), sparkline(values));
    }),
  );
  document.getElementById('figures').replaceChildren(...drawn);
}

/** A host's card. @param facts rows of [name, text, whether it is ill] */
function card(host, alive, chips, facts) {
  const rows = facts.filter(([, text]) => text !== undefined).flatMap(([name, text, ill]) => [element('dt', {}, name), element('dd', ill ? { class: 'ill' } : {}, text)]);
  const state = alive ? [] : [chip('does not answer', 'bad')];
  return element('article', { class: `host${alive ? '' : ' dead'}` }, element('div', { class: 'head' }, element('h3', {}, host), ...state, ...chips), rows.length ? element('dl', {}, ...rows) : undefined);
}

const tier = (name, cards, last = false) => element('div', { class: `tier${last ? ' last' : ''}` }, element('h2', {}, name), ...cards);

/** State of a server for the balancers, as they say it, and for people. */
const SERVER = { UP: ['in service', 'good'], DOWN: ['down', 'bad'], DRAIN: ['drained', 'warn'], MAINT: ['in maintenance', 'warn'], NOLB: ['stopping', 'warn'] };

function drawHosts(seen) {
  const values = Object.fromEntries(['cpu', 'memory', 'disk', 'certificate', 'perBalancer', 'sessions', 'readOnly', 'io', 'sql', 'lag', 'connections', 'queries', 'backup'].map((name) => [name, byHost(seen[name])]));
  const alive = (host, job) => seen.up.some(({ labels, value }) => labels.instance === host && labels.job === job && value === 1);
  const with_ = (name, host, say) => (values[name].has(host) ? say(values[name].get(host)) : undefined);
  const machine = (host) => [
    ['CPU', with_('cpu', host, percent)],
    ['Memory', with_('memory', host, percent), values.memory.get(host) > 0.9],
    ['Fullest disk', with_('disk', host, percent), values.disk.get(host) > 0.9],
    ['Certificate', with_('certificate', host, (left) => (left > 0 ? `${duration(left)} left` : 'has ended')), values.certificate.get(host) < 14 * 86400],
  ];

  const balancers = stack.balancers.map((host) => {
    const held = seen.holders.filter(({ labels }) => labels.instance === host && stack.virtual.includes(labels.address)).map(({ labels }) => labels.address);
    const chips = [...held.map((address) => chip(`holds ${address}`, 'info')), ...(alive(host, 'haproxy') ? [chip('balances', 'good')] : alive(host, 'node') ? [chip('HAProxy does not answer', 'bad')] : [])];
    return card(host, alive(host, 'node'), chips, [['Requests a second', with_('perBalancer', host, number)], ['Open connections', with_('sessions', host, number)], ...machine(host)]);
  });
  for (const address of stack.virtual) {
    const holders = new Set(seen.holders.filter(({ labels }) => labels.address === address).map(({ labels }) => labels.instance));
    if (holders.size !== 1) balancers.unshift(element('p', { class: 'chip bad' }, `${address}: ${holders.size === 0 ? 'nobody holds it' : `${holders.size} hosts hold it`}`));
  }

  const web = stack.web.map((host) => {
    const states = Map.groupBy(seen.servers.filter(({ labels }) => labels.server === host), ({ labels }) => labels.state);
    // Where the balancers differ, each of them is named.
    const chips = [...states].map(([state, of]) => {
      const [text, kind] = SERVER[state] ?? [state, 'warn'];
      return chip(states.size > 1 ? `${text} for ${of.map(({ labels }) => labels.instance).join(', ')}` : text, kind);
    });
    const rate = seen.perServer.find(({ labels }) => labels.server === host)?.value;
    return card(host, alive(host, 'node'), chips.length ? chips : [chip('no balancer tells')], [['Requests a second', rate === undefined ? undefined : number(rate)], ...machine(host)]);
  });

  const writable = seen.readOnly.filter(({ value }) => value === 0).length;
  const db = stack.db.map((host) => {
    const running = values.io.get(host) === 1 && values.sql.get(host) === 1;
    const replicates = values.io.has(host);
    const chips = [];
    if (!values.readOnly.has(host)) chips.push(...(alive(host, 'node') ? [chip('database does not answer', 'bad')] : []));
    else if (values.readOnly.get(host) === 0) chips.push(chip(writable > 1 ? 'also takes writes' : 'primary', writable > 1 ? 'bad' : 'info'));
    else chips.push(replicates ? chip(running ? 'replica' : 'replica, stopped', running ? 'good' : 'bad') : chip('read-only, follows nobody', 'bad'));
    return card(host, alive(host, 'node'), chips, [
      ['Behind by', replicates ? (Number.isFinite(values.lag.get(host)) ? duration(values.lag.get(host)) : 'unknown') : undefined, !running || values.lag.get(host) > 30],
      ['Queries a second', with_('queries', host, number)],
      ['Connections taken', with_('connections', host, percent), values.connections.get(host) > 0.8],
      ['Last backup', with_('backup', host, (age) => `${duration(age)} ago`), values.backup.get(host) > 26 * 3600],
      ...machine(host),
    ]);
  });
  if (writable === 0 && stack.db.length > 0) db.unshift(element('p', { class: 'chip bad' }, 'no database takes writes'));

  const monitoring = stack.monitoring.map((host) => card(host, alive(host, 'node'), [alive(host, 'alertmanager') ? chip('tells of alerts', 'good') : chip('Alertmanager does not answer', 'bad')], machine(host)));
  document.getElementById('topology').replaceChildren(tier('Balancers', balancers), tier('Web servers', web), tier('Databases', db), tier('Monitoring', monitoring, true));
}

const RANK = { critical: 0, warning: 1 };

function drawAlerts(alerts) {
  const shown = alerts.filter(({ labels }) => labels.alertname !== 'Watchdog').sort((a, b) => (a.state === b.state ? (RANK[a.labels.severity] ?? 2) - (RANK[b.labels.severity] ?? 2) : a.state === 'firing' ? -1 : 1));
  const items = shown.map(({ labels, annotations, state, activeAt }) =>
    element(
      'li',
      { class: state !== 'firing' ? '' : labels.severity === 'critical' ? 'bad' : 'warn' },
      element('span', { class: 'meta quiet' }, `${labels.alertname}, ${state === 'firing' ? `for ${duration((Date.now() - Date.parse(activeAt)) / 1000)}` : 'not told yet'}`),
      element('strong', {}, annotations.summary ?? labels.alertname),
      element('span', { class: 'quiet' }, `Look at: ${annotations.look ?? '–'}`),
    ),
  );
  const section = document.getElementById('alerts');
  section.hidden = items.length === 0;
  section.replaceChildren(element('ul', {}, ...items));
  const firing = shown.filter(({ state }) => state === 'firing').length;
  const silent = !alerts.some(({ labels }) => labels.alertname === 'Watchdog');
  if (silent) verdict('bad', 'alerts are not evaluated');
  else if (firing > 0) verdict(shown.some(({ state, labels }) => state === 'firing' && labels.severity === 'critical') ? 'bad' : 'warn', `${firing} alert${firing > 1 ? 's' : ''}`);
  else if (shown.length > 0) verdict('warn', 'something is beginning');
  else verdict('good', 'all is well');
}

function verdict(kind, text) {
  const shown = document.getElementById('verdict');
  shown.className = `chip ${kind}`;
  if (shown.textContent !== text) shown.textContent = text;
  document.title = `${text} · ${stack.title}`;
}

let last;
async function look() {
  try {
    const [answers, { alerts }] = await Promise.all([Promise.all(Object.entries(QUERIES).map(async ([name, query]) => [name, await samples(query)])), ask('alerts', {}), drawFigures()]);
    drawHosts(Object.fromEntries(answers));
    drawAlerts(alerts);
    last = new Date();
  } catch (error) {
    verdict('bad', 'Prometheus does not answer');
    console.error(error);
  }
  document.getElementById('seen').textContent = last === undefined ? '' : `seen ${last.toLocaleTimeString()}`;
}

document.getElementById('title').textContent = stack.title;
for (const [id, page] of Object.entries({ graphs: 'graph', rules: 'alerts', targets: 'targets' })) document.getElementById(id).href = `${stack.prometheus}/${page}`;
await look();
setInterval(look, EVERY);
