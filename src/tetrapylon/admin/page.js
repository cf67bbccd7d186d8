// The admin page: polls, takes differences of counters that only rise, and shows them.
// All text reaches the document as text nodes: names of routes and upstreams are not ours.
"use strict";

const POLL = 2000, PATIENCE = 10000, SPAN = 900, QUIET = 60;
const TOKEN = "tetrapylon-admin-token";
// Reasons of refusals that are the gateway's or its upstreams' trouble, not the client's, with their status.
const TROUBLE = {
  upstream_connect: 502, upstream_response: 502, upstream_timeout: 504, no_target: 503, pool_full: 503,
  circuit_open: 503, shed: 503, draining_now: 503, internal: 500, connection_limit: "closed",
};
const STATUS = {
  ...TROUBLE, malformed: 400, target_too_long: 414, head_too_large: 431, body_too_large: 413, head_timeout: 408,
  body_timeout: 408, version: 505, expectation: 417, loop: 508, not_found: 404, method: 405,
  policy: "by policy", client_connection_limit: "closed", proxy_header: "closed", tls_handshake: "closed",
  tls_absent: "closed", tls_unexpected: 400,
};
const WELL = new Set(["up", "on_trial", "drained"]);

let token = sessionStorage.getItem(TOKEN) || "";
let span = 60, paused = false, turn = 0, timer = 0;
let live = null, upstreams = null, past = null, moves = [], compared = [], pastKey = "", heard = 0;
let samples = [], looks = [];

// -- the document

const $ = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const made = tag === "svg" || tag === "path"
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== "") made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const fill = (at, ...children) => at.replaceChildren(...children);

// -- numbers

const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
const minus = (now, before) => now.map((each, i) => each - (before?.[i] ?? 0));

function count(n) {
  if (n >= 1e6) return `${(n / 1e6).toFixed(n < 1e7 ? 2 : 1)} M`;
  return n >= 10000 ? `${(n / 1000).toFixed(1)} k` : `${Math.round(n)}`;
}
const rate = (n) => (n === 0 ? "0" : n < 0.1 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : count(n));
const share = (part, all) => (all ? `${(100 * part / all).toFixed(part && part / all < 0.1 ? 2 : 1)}%` : "–");

function bytes(n) {
  const unit = ["B", "kB", "MB", "GB"];
  let at = 0;
  for (; n >= 1000 && at < 3; at++) n /= 1000;
  return `${n.toFixed(at && n < 100 ? 1 : 0)} ${unit[at]}`;
}

function seconds(s) {
  if (s < 0.001) return `${(s * 1e6).toFixed(0)} µs`;
  if (s < 1) return `${(s * 1000).toFixed(s < 0.1 ? 1 : 0)} ms`;
  return `${s.toFixed(s < 10 ? 2 : 1)} s`;
}

function lasting(s) {
  if (s < 90) return `${Math.max(0, Math.round(s))}\u00a0s`;
  if (s < 5400) return `${Math.round(s / 60)}\u00a0min`;
  return s < 129600 ? `${Math.round(s / 3600)}\u00a0h` : `${Math.round(s / 86400)}\u00a0days`;
}

function clock(at) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString("en-GB");
  return today ? time : `${date.toLocaleDateString("en-CA")} ${time}`;
}

const stamp = (at) => el("time", { datetime: new Date(at * 1000).toISOString() }, clock(at));

// A quantile as histograms know it: between two bounds it is interpolated, beyond them only the bound is known.
function quantile(buckets, bounds, q) {
  const all = sum(buckets);
  if (!all) return { value: -1, text: "–" };
  let below = 0, at = 0;
  while (below + buckets[at] < q * all) below += buckets[at++];
  if (at === 0) return { value: bounds[0] / 2, text: `< ${seconds(bounds[0])}` };
  if (at >= bounds.length) return { value: bounds.at(-1) * 2, text: `> ${seconds(bounds.at(-1))}` };
  const value = bounds[at - 1] + (bounds[at] - bounds[at - 1]) * (q * all - below) / buckets[at];
  return { value, text: seconds(value) };
}

// -- what is polled

async function ask(path) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail || `status ${answer.status}`), { status: answer.status });
}

async function poll() {
  clearTimeout(timer);
  if (!document.hidden) {
    try {
      await look();
      heard = Date.now();
      $("login").hidden = true;
      $("main").hidden = false;
      show();
    } catch (error) {
      if (error.status === 401) return login(token ? "This is not the token." : "");
      stale(error.message);
    }
  }
  if (!paused) timer = setTimeout(poll, POLL);
}

async function look() {
  const [next, targets] = await Promise.all([
    ask(`live?since=${samples.at(-1)?.time ?? 0}`), turn++ % 2 ? upstreams : ask("upstreams"),
  ]);
  const last = looks.at(-1);
  if (last && sum(next.now.outcomes) < sum(last.now.outcomes)) {
    samples = [];               // another gateway: it has counted from zero, and told all it has with the next look
    looks = [];
  }
  samples = [...samples, ...next.samples].filter((each) => each.time > next.now.time - SPAN - 30);
  looks = [...looks.filter((each) => each.now.time > next.now.time - SPAN - 30), next];
  if (looks.length > 60) looks = looks.filter((_, i) => i % 2 === 0 || i > 30);   // older ones more sparsely
  if (turn % 2) [moves, compared] = await Promise.all([ask("move"), ask("diff")]);
  const key = `${next.status.generation} ${next.status.last_reload?.time}`;
  if (key !== pastKey) {
    past = await ask("history");
    pastKey = key;
  }
  live = next;
  upstreams = targets;
}

function login(why) {
  token = "";
  sessionStorage.removeItem(TOKEN);
  $("main").hidden = true;
  $("login").hidden = false;
  $("refused").textContent = why;
  $("token").focus();
}

function stale(why) {
  const since = heard ? `; what is shown is ${lasting((Date.now() - heard) / 1000)} old` : "";
  $("fresh").className = "stale";
  $("fresh").textContent = `No answer (${why})${since}`;
}

// The earlier of two points to take differences between: `span` ago, or as long ago as is known.
function before(list, at) {
  return list.findLast((each) => at(each) <= at(list.at(-1)) - span) ?? (list.length > 1 ? list[0] : undefined);
}

// -- what is wrong

// Since when a number has been rising, pauses of up to QUIET seconds aside; undefined: it has not.
function rising(of) {
  const all = [...samples, live.now];
  let since, seen = live.now.time;
  for (let i = all.length - 1; i > 0; i--) {
    if (of(all[i]) > of(all[i - 1])) since = seen = all[i - 1].time;
    else if (seen - all[i - 1].time > QUIET) break;
  }
  return since;
}

function problems(now, was) {
  const found = [];
  const bad = (what, text, since) => found.push({ level: "bad", what, text, since });
  const warn = (what, text, since) => found.push({ level: "warn", what, text, since });
  const { state, workers } = live.status;
  const within = `in the last ${lasting(was ? now.time - was.time : 0)}`;
  if (state !== "serving") bad("Not serving:", `the gateway is ${state}`);
  if (workers.serving < workers.configured) bad("Workers:", `${workers.serving} of ${workers.configured} serve`);
  for (const each of live.targets) {
    if (WELL.has(each.state)) continue;
    bad("Upstream", `${each.upstream}: ${each.target || "all targets"}: ${each.state.replaceAll("_", " ")}`, each.since);
  }
  for (const [reason, status] of Object.entries(TROUBLE)) {
    const n = (now.rejects[reason] ?? 0) - (was?.rejects[reason] ?? 0);
    if (was && n) {
      bad(`${status}:`, `${count(n)} × ${reason.replaceAll("_", " ")} ${within}`,
        rising((each) => each.rejects[reason] ?? 0));
    }
  }
  const outcomes = minus(now.outcomes, was?.outcomes), all = sum(outcomes);
  const failed = outcomes[live.outcomes.indexOf("5xx")], cut = outcomes[0];
  if (was && failed > all / 100) {
    bad("5xx:", `${share(failed, all)} of requests ${within}`, rising((each) => each.outcomes[5]));
  }
  for (const each of failing().slice(0, 3)) {
    bad("Route", `${each.name}: ${share(each.failed, each.all)} answered with 5xx ${within}`);
  }
  if (was && cut > all / 20) warn("Cut short:", `${share(cut, all)} of requests ${within}`, rising((each) => each.outcomes[0]));
  const last = live.status.last_reload;
  if (last?.outcome === "refused") {
    bad("Reload refused:", `${last.problems.map((each) => each.text).join("; ")}; generation ${last.generation} serves on`, last.time);
  }
  if (was && now.restarts > was.restarts) {
    bad("Restarts:", `${now.restarts - was.restarts} processes died and were replaced ${within}`, rising((each) => each.restarts));
  }
  for (const [text, n] of Object.entries(now.troubles)) {
    const more = n - (was?.troubles[text] ?? 0);
    if (was && more) warn("Trouble:", `${count(more)} ${text} ${within}`, rising((each) => each.troubles[text] ?? 0));
  }
  for (const each of moves) {
    if (each.state === "back") warn("Move", `of ${each.route} went back: ${each.why}`, each.since);
    if (each.state === "proposed") warn("Move", `of ${each.route} waits for approval: ${percent(each.next)} to ${each.to}`, each.steps.at(-1)?.time);
  }
  const lag = quantile(minus(now.lag, was?.lag), live.bounds.gateway, 0.99);
  if (was && lag.value > 0.05) warn("Loop lag:", `the workers' loops run ${lag.text} late (p99) ${within}`);
  for (const each of live.workers) {
    if (each.silent > 3) bad("Worker", `${each.worker} (pid ${each.pid}) has been silent for ${lasting(each.silent)}`);
  }
  for (const each of upstreams.upstreams) {
    if (each.queue) warn("Queue:", `${each.queue} requests wait for a connection to ${each.name}`);
  }
  return found;
}

function showProblems(now, was) {
  const found = problems(now, was);
  const items = found.map(({ level, what, text, since }) => {
    const item = el("li", { class: level }, el("b", {}, what), ` ${text}`);
    if (since) item.append(el("span", { class: "since" }, ` since ${clock(since)} (${lasting(now.time - since)})`));
    return item;
  });
  const idle = was && sum(now.outcomes) === sum(was.outcomes) ? " There is no traffic." : "";
  if (!items.length) items.push(el("li", { class: "good" }, `Nothing is wrong.${idle}`));
  fill($("problems"), ...items);
  // Read out when a problem comes or goes, not with each number.
  const spoken = found.length ? `${found.length} problems: ${found.map((each) => each.what).join(" ")}` : "Nothing is wrong.";
  if ($("spoken").textContent !== spoken) $("spoken").textContent = spoken;
  const bad = found.filter((each) => each.level === "bad").length;
  document.title = `${bad ? `(${bad}) ` : ""}Tetrapylon`;
}

// -- traffic

function spark(title, values, of) {
  const known = values.filter((each) => each !== null);
  const most = Math.max(...known, 0);
  const length = Math.min(SPAN, Math.max(120, live.now.time - (samples[0]?.time ?? live.now.time)));
  const first = live.now.time - length;
  const x = (at) => (100 * (at - first) / length).toFixed(2);
  let d = "", drawing = false;
  values.forEach((value, i) => {
    if (value === null || points()[i].time < first) { drawing = false; return; }
    d += `${drawing ? "L" : "M"}${x(points()[i].time)} ${(29 - 27 * (most ? value / most : 0)).toFixed(1)}`;
    drawing = true;
  });
  const text = `${title} over ${lasting(length)}: now ${known.length ? of(known.at(-1)) : "unknown"}, at most ${of(most)}`;
  const svg = el("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": text });
  for (const each of live.events) {
    if (each.time > first && each.kind !== "trouble") {
      svg.append(el("path", { class: "mark", d: `M${x(each.time)} 0V30` }));
    }
  }
  svg.append(el("path", { d }));
  return [svg, el("small", {}, el("span", {}, `${lasting(length)} ago`), el("span", {}, `at most ${of(most)}`))];
}

const points = () => [...samples, live.now];

// One value between each point and the one before it; null where there is none.
function between(of) {
  return points().map((now, i, all) => {
    const was = all[i - 1];
    return was && now.time - was.time > 0.5 ? of(now, was, now.time - was.time) : null;
  });
}

function tile(title, numbers, picture) {
  const list = el("dl", {});
  for (const [name, value] of numbers) list.append(el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  return el("div", { class: "tile" }, el("h3", {}, title), list, ...picture);
}

function showTraffic(now, was) {
  const time = was ? now.time - was.time : 1;
  const outcomes = minus(now.outcomes, was?.outcomes), all = sum(outcomes);
  const of = (key) => minus(now[key], was?.[key]);
  const quantiles = (buckets, bounds) =>
    [0.5, 0.95, 0.99].map((q) => [`p${100 * q}`, quantile(buckets, bounds, q).text]);
  const p99 = (key, bounds) => between((n, w) => {
    const { value } = quantile(minus(n[key], w[key]), bounds, 0.99);
    return value < 0 ? null : value;
  });
  const { duration, gateway } = live.bounds;
  const errors = (n, w) => {
    const some = minus(n.outcomes, w.outcomes);
    return sum(some) ? 100 * some[5] / sum(some) : null;
  };
  fill($("tiles"),
    tile("Requests", [["a second", was ? rate(all / time) : "–"], ["in flight", count(now.exchanges)]],
      spark("Requests a second", between((n, w, s) => (sum(n.outcomes) - sum(w.outcomes)) / s), rate)),
    tile("Errors", [["5xx", share(outcomes[5], all)], ["4xx", share(outcomes[4], all)], ["cut short", share(outcomes[0], all)]],
      spark("Share of 5xx", between(errors), (n) => `${n.toFixed(1)}%`)),
    tile("Time, all of it", quantiles(of("duration"), duration), spark("p99 of the time", p99("duration", duration), seconds)),
    tile("Time, the gateway's share", quantiles(of("gateway"), gateway),
      spark("p99 of the gateway's share", p99("gateway", gateway), seconds)),
    tile("Connections", [["clients", count(now.connections)], ["WebSockets", count(now.tunnels)], ["upstreams", count(now.upstream_connections)]],
      spark("Client connections", points().map((each) => each.connections), count)),
    tile("Bytes a second", [["in", bytes((now.bytes_in - (was?.bytes_in ?? 0)) / time)], ["out", bytes((now.bytes_out - (was?.bytes_out ?? 0)) / time)]],
      spark("Bytes out a second", between((n, w, s) => (n.bytes_out - w.bytes_out) / s), bytes)));
}

// -- tables

const sorts = {
  errors: ["window", -1], moves: ["route", 1], differences: ["count", -1], routes: ["rate", -1], upstreams: ["name", 1], workers: ["worker", 1],
};

// `columns`: [key, title, of(row) -> what it sorts by, shown(row) -> text or [text, class], kind].
function table(id, columns, rows, none) {
  const at = $(id);
  if (!at.tHead) {
    const heads = columns.map(([key, title, , , kind]) => {
      const button = el("button", { type: "button" }, title);
      button.addEventListener("click", () => {
        const [by, way] = sorts[id];
        sorts[id] = [key, by === key ? -way : kind ? 1 : -1];
        show();
      });
      return el("th", { scope: "col", class: kind ? "text" : "" }, button);
    });
    fill(at, el("thead", {}, el("tr", {}, ...heads)), el("tbody"));
  }
  const [by, way] = sorts[id];
  columns.forEach(([key], i) => {
    const head = at.tHead.rows[0].cells[i];
    if (key === by) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
  const value = columns.find(([key]) => key === by)[2];
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  const sorted = [...rows].sort((a, b) => way * compare(value(a), value(b)) || compare(columns[0][2](a), columns[0][2](b)));
  const lines = sorted.map((row) => el("tr", {}, ...columns.map(([, , , shown, kind], i) => {
    const [text, look] = [shown(row)].flat();
    return i ? el("td", { class: look || kind || "" }, `${text}`) : el("th", { scope: "row" }, `${text}`);
  })));
  if (!lines.length) lines.push(el("tr", {}, el("td", { class: "none", colspan: columns.length }, none)));
  fill(at.tBodies[0], ...lines);
}

function showErrors(now, was) {
  const rows = Object.entries(now.rejects).map(([reason, total]) => ({
    reason, total, window: was ? total - (was.rejects[reason] ?? 0) : 0,
    since: rising((each) => each.rejects[reason] ?? 0),
  }));
  table("errors", [
    ["reason", "Reason", (r) => r.reason, (r) => r.reason.replaceAll("_", " "), "text"],
    ["status", "Answer", (r) => `${STATUS[r.reason] ?? ""}`, (r) => STATUS[r.reason] ?? "", "text"],
    ["window", `Last ${lasting(span)}`, (r) => r.window, (r) => [count(r.window), r.window && r.reason in TROUBLE ? "bad" : ""]],
    ["since", "Since", (r) => r.since ?? 0, (r) => (r.since ? clock(r.since) : "–")],
    ["total", "Since the start", (r) => r.total, (r) => count(r.total)],
  ], rows, "The gateway has refused nothing since its start.");
  $("errors").tHead.rows[0].cells[2].firstChild.textContent = `Last ${lasting(span)}`;
}

const percent = (n) => `${Number((100 * n).toPrecision(4))}%`;

function showMoves() {
  $("moving").hidden = !moves.length;
  table("moves", [
    ["route", "Route", (r) => r.route, (r) => r.route, "text"],
    ["to", "To", (r) => r.to, (r) => r.to, "text"],
    ["state", "State", (r) => r.state, (r) => [r.state, r.state === "back" ? "text bad" : "text"], "text"],
    ["share", "Share", (r) => r.share, (r) => percent(r.share)],
    ["next", "Next", (r) => r.next ?? 0, (r) => (r.next === null ? "–" : percent(r.next))],
    ["since", "Since", (r) => r.since, (r) => clock(r.since)],
    ["why", "Why", (r) => r.why, (r) => r.why, "text"],
  ], moves, "No route moves.");
}

function showDifferences() {
  $("comparing").hidden = !compared.length;
  const rows = compared.flatMap((route) => route.differences.map((each) => ({ route: route.route, ...each })));
  table("differences", [
    ["route", "Route", (r) => r.route, (r) => r.route, "text"],
    ["where", "Where", (r) => r.where, (r) => r.where, "text"],
    ["kind", "What", (r) => r.kind, (r) => r.kind, "text"],
    ["count", "Pairs", (r) => r.count, (r) => count(r.count)],
    ["last", "Last", (r) => r.last, (r) => clock(r.last)],
    ["request", "Such as", (r) => r.samples[0]?.target ?? "",
      (r) => (r.samples[0] ? `${r.samples[0].method} ${r.samples[0].target}` : ""), "text"],
    ["first", "First", (r) => r.samples[0]?.primary ?? "", (r) => r.samples[0]?.primary ?? "", "text"],
    ["second", "Second", (r) => r.samples[0]?.second ?? "", (r) => r.samples[0]?.second ?? "", "text"],
  ], rows.sort((a, b) => b.count - a.count).slice(0, 100), "No answers differ.");
  $("compared").textContent = compared.map((route) =>
    `${route.route}: ${count(route.compared)} compared, ${count(route.different)} different `
    + `(${share(route.different, route.compared)})`).join("; ");
}

// What each route did since the earlier look.
function routes() {
  const was = before(looks, (each) => each.now.time);
  const time = was ? live.now.time - was.now.time : 0;
  const known = new Map((was?.routes ?? []).map((each) => [each.slot, each]));
  return live.routes.map((each) => {
    const old = known.get(each.slot);
    const outcomes = minus(each.outcomes, old?.outcomes), all = sum(outcomes);
    const duration = minus(each.duration, old?.duration);
    const at = (q) => quantile(duration, live.bounds.duration, q);
    return {
      name: [each.methods, each.host + each.route].filter(Boolean).join(" "), rate: time ? all / time : -1,
      all, failed: outcomes[5], refused: outcomes[4], p50: at(0.5), p95: at(0.95), p99: at(0.99),
      own: quantile(minus(each.gateway, old?.gateway), live.bounds.gateway, 0.99), total: sum(each.outcomes),
    };
  });
}

// Those that fail for more than one request in twenty, the worst first.
const failing = () => (looks.length > 1 ? routes() : [])
  .filter((each) => each.failed > each.all / 20).sort((a, b) => b.failed - a.failed);

function showRoutes() {
  const word = $("filter").value.toLowerCase();
  const rows = routes().filter((each) => each.name.toLowerCase().includes(word));
  const p = (key, title) => [key, title, (r) => r[key].value, (r) => r[key].text];
  table("routes", [
    ["name", "Route", (r) => r.name, (r) => r.name, "text"],
    ["rate", "Requests/s", (r) => r.rate, (r) => (r.rate < 0 ? "–" : rate(r.rate))],
    ["failed", "5xx", (r) => (r.all ? r.failed / r.all : 0), (r) => [share(r.failed, r.all), r.failed ? "bad" : ""]],
    ["refused", "4xx", (r) => (r.all ? r.refused / r.all : 0), (r) => share(r.refused, r.all)],
    p("p50", "p50"), p("p95", "p95"), p("p99", "p99"), p("own", "Gateway p99"),
    ["total", "Since the start", (r) => r.total, (r) => count(r.total)],
  ], rows, word ? "No route has this in its name." : "No route has been asked for yet.");
  $("left-out").textContent = live.routes_left_out
    ? `The ${live.routes.length} busiest; ${live.routes_left_out} others have been asked for.` : "";
}

// Of a target that nobody checks it is not known that it is well: only that nothing keeps requests from it.
function health(row) {
  if (row.state === "up" && row.checked === "unchecked") return ["not checked", "text"];
  return [row.state.replaceAll("_", " "), row.well ?? WELL.has(row.state) ? "text good" : "text bad"];
}

function showUpstreams() {
  const was = before(looks, (each) => each.now.time);
  const standing = new Map(live.targets.map((each) => [`${each.upstream} ${each.target}`, each]));
  const unknown = { value: -1, text: "" };
  const rows = upstreams.upstreams.flatMap((each) => {
    const times = live.upstreams[each.name], old = was?.upstreams[each.name];
    const at = (key) => quantile(minus(times?.[key].buckets ?? [], old?.[key].buckets), live.bounds.duration, 0.95);
    const targets = each.targets.map((target) => {
      const now = standing.get(`${each.name} ${target.url}`);
      return {
        name: `${each.name} · ${target.url}`, state: now?.state ?? target.state, checked: target.checked, since: now?.since ?? 0,
        connections: target.connections, queue: 0, waiting: "", row: target.failures_in_row ?? 0,
        connect: unknown, first: unknown, total: unknown,
      };
    });
    const up = targets.filter((target) => WELL.has(target.state)).length;
    const circuit = standing.get(`${each.name} `);
    const whole = {
      name: each.name, state: `${up} of ${targets.length} up`, well: up === targets.length, since: 0,
      connections: each.connections, queue: each.queue, waiting: count(each.queue), row: 0,
      connect: at("connect"), first: at("first_byte"), total: at("total"),
    };
    if (circuit && !WELL.has(circuit.state)) Object.assign(whole, circuit, { well: false });
    return [whole, ...targets];
  });
  const p = (key, title) => [key, title, (r) => r[key].value, (r) => r[key].text];
  table("upstreams", [
    ["name", "Upstream", (r) => r.name, (r) => r.name, "text"],
    ["state", "Health", (r) => r.state, health, "text"],
    ["since", "Since", (r) => r.since, (r) => (r.since ? clock(r.since) : "–")],
    ["connections", "Connections", (r) => r.connections, (r) => count(r.connections)],
    ["queue", "Waiting", (r) => r.queue, (r) => [r.waiting, r.queue ? "bad" : ""]],
    ["row", "Failures in a row", (r) => r.row, (r) => [count(r.row), r.row ? "bad" : ""]],
    p("connect", "Connect p95"), p("first", "First byte p95"), p("total", "Whole p95"),
  ], rows, "There are no upstreams.");
  const missing = live.status.workers.serving - upstreams.workers.length;
  $("silent").textContent = missing > 0 ? `${missing} workers have not said how many connections they have.` : "";
}

function showWorkers() {
  const was = new Map((before(looks, (each) => each.now.time)?.workers ?? []).map((each) => [each.pid, each]));
  table("workers", [
    ["worker", "Worker", (r) => r.worker, (r) => `${r.worker} (pid ${r.pid})`, "text"],
    ["state", "State", (r) => r.state, (r) => [r.state, r.state === "serving" ? "text good" : "text bad"], "text"],
    ["silent", "Heard of", (r) => r.silent, (r) => [`${lasting(r.silent)} ago`, r.silent > 3 ? "bad" : ""]],
    ["age", "Age", (r) => r.age, (r) => lasting(r.age)],
    ["connections", "Connections", (r) => r.connections, (r) => count(r.connections)],
    ["exchanges", "In flight", (r) => r.exchanges, (r) => count(r.exchanges)],
    ["lag", "Loop lag p99", (r) => lagOf(r, was).value, (r) => lagOf(r, was).text],
  ], live.workers, "No worker has begun.");
}

const lagOf = (row, was) => quantile(minus(row.lag, was.get(row.pid)?.lag), live.bounds.gateway, 0.99);

// -- what has changed

function diff(changes) {
  const at = el("div", { class: "diff" });
  const signs = { added: "+", removed: "-", changed: "~" };
  const line = (text, look) => at.append(el("div", { class: look ?? "" }, text));
  const show = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const detail = (each, indent) => line(`${indent}${each.path}: ${show(each.old)} → ${show(each.new)}`);
  for (const [noun, list] of [["route", changes.routes], ["upstream", changes.upstreams]]) {
    for (const each of list ?? []) {
      line(`${signs[each.what]} ${noun} ${each.name}`, each.what);
      for (const one of each.details ?? []) detail(one, "    ");
    }
  }
  for (const each of changes.settings ?? []) detail(each, "~ ");
  if (changes.left_out) line(`and ${changes.left_out} more`);
  return at;
}

function showPast() {
  const key = `${pastKey} ${live.events.length} ${live.events.at(-1)?.time}`;
  if ($("events").dataset.key === key) return;      // what is unfolded stays so
  $("events").dataset.key = key;
  const events = [...live.events].reverse().map((each) => el("li", {}, stamp(each.time),
    el("span", { class: each.kind === "refused" || each.kind === "restart" ? "word-bad" : "" }, each.text)));
  fill($("events"), ...(events.length ? events : [el("li", {}, "Nothing since this gateway began, or since it was last replaced.")]));
  const configs = [...past.history].reverse().map((each) => {
    const now = each.generation === past.generation ? " (in force)" : "";
    const head = [stamp(each.time), `generation ${each.generation}${now}, by ${each.origin}`];
    if (each.generation === 1) return el("li", {}, ...head, `: ${each.source}`);
    return el("li", {}, el("details", {}, el("summary", {}, ...head, `: ${each.summary}`), diff(each.changes)));
  });
  fill($("reloads"), ...configs);
}

function show() {
  if (!live) return;
  const now = live.now;
  const was = before([...samples, now], (each) => each.time);
  const { status } = live;
  $("version").textContent = status.version;
  $("identity").textContent = `${status.state}, ${status.workers.serving} of ${status.workers.configured} workers, `
    + `generation ${status.generation} of ${status.source.split("/").at(-1)}`;
  $("fresh").className = "";
  $("fresh").textContent = paused ? `as of ${clock(now.time)}` : "";
  showProblems(now, was);
  showTraffic(now, was);
  showMoves();
  showDifferences();
  showErrors(now, was);
  showRoutes();
  showUpstreams();
  showWorkers();
  showPast();
}

$("window").addEventListener("change", (event) => { span = Number(event.target.value); show(); });
$("filter").addEventListener("input", show);
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", paused);
  if (paused) { clearTimeout(timer); show(); } else poll();
});
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  $("token").value = "";
  sessionStorage.setItem(TOKEN, token);
  poll();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) poll(); });
poll();
