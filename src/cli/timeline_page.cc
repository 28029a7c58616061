#include "cli/timeline_page.h"

namespace metaflow::cli {

namespace {

// The page. The data replaces /*DATA*/null.
constexpr std::string_view kPage = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Metaflow run</title>
<style>
:root { --text: #1d2430; --dim: #68728a; --line: #dfe4ee; --back: #ffffff; --panel: #f6f8fb;
        --done: #3b82c4; --failed: #d1443c; --stopped: #9aa3b5; --running: #e0a526; --cloned: #8fb8a8; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8f0; --dim: #98a2b8; --line: #333b4c; --back: #14181f; --panel: #1b212b; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 20px 28px 60px; font: 14px/1.45 system-ui, sans-serif; color: var(--text); background: var(--back); }
h1 { font-size: 20px; margin: 0 0 2px; } h2 { font-size: 15px; margin: 28px 0 8px; }
.dim { color: var(--dim); } .state { font-weight: 600; padding: 1px 8px; border-radius: 9px; color: #fff; }
.why { white-space: pre-wrap; color: var(--failed); margin: 6px 0 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--text); }
#gantt { position: relative; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
#gantt canvas { display: block; width: 100%; }
#tip { position: fixed; pointer-events: none; background: var(--text); color: var(--back); padding: 4px 8px; border-radius: 4px;
       font-size: 12px; white-space: pre-line; max-width: 480px; display: none; z-index: 2; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 600; color: var(--dim); }
th, td { padding: 3px 18px 3px 0; border-bottom: 1px solid var(--line); vertical-align: top; } td.n, th.n { text-align: right; }
.legend span { margin-right: 16px; } .legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px; }
.scroll { overflow-x: auto; }
</style>
</head>
<body>
<h1 id="title"></h1>
<div id="about" class="dim"></div>
<div id="why" class="why"></div>
<h2>Steps</h2>
<div class="scroll" id="graph"></div>
<div class="scroll"><table id="steps"></table></div>
<h2>Timeline</h2>
<div class="legend dim" id="legend"></div>
<p class="dim" style="margin:2px 0 6px">Wheel: zoom. Drag: move. Double click: reset.</p>
<div id="gantt"><canvas></canvas></div>
<div id="tip"></div>
<h2 id="failed-title">Failed attempts</h2>
<div class="scroll"><table id="failed"></table></div>
<h2>Slowest attempts</h2>
<div class="scroll"><table id="slowest"></table></div>
<h2>Largest peak memory</h2>
<div class="scroll"><table id="largest"></table></div>
<script>
"use strict";
const run = /*DATA*/null;
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = how => css("--" + ({done: "done", failed: "failed", stopped: "stopped", running: "running"}[how] || "stopped"));
const attempts = run.attempts.map(a => ({step: a[0], task: a[1], n: a[2], begin: a[3], how: a[5], memory: a[6], cpu: a[7], cause: a[8], label: a[9],
  // An attempt without an end is running, or its scheduler died. It is drawn until the last known time.
  open: a[4] < 0, end: a[4] < 0 ? run.duration : a[4]}));
const time = ms => {
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 60000) return (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + " s";
  const s = Math.floor(ms / 1000), two = x => String(x).padStart(2, "0");
  return Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60);
};
const bytes = b => { if (!b) return "-"; const units = ["B", "kB", "MB", "GB", "TB"]; let i = 0; while (b >= 1000 && i < 4) { b /= 1000; ++i; }
  return (i ? b.toFixed(1) : b) + " " + units[i]; };
const add = (parent, tag, text, attributes = {}) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.appendChild(node);
  return node;
};
const byId = id => document.getElementById(id);

// --- head
document.title = run.flow + "/" + run.run;
byId("title").textContent = run.flow + "/" + run.run + " ";
const badge = add(byId("title"), "span", run.state, {class: "state", style: "font-size:13px"});
badge.style.background = {done: css("--done"), running: css("--running")}[run.state] || css("--failed");
byId("about").textContent = "Started " + new Date(run.began).toLocaleString() + " on " + run.host + ", took " + time(run.duration) +
  ", " + attempts.length.toLocaleString() + " attempts" + (run.origin ? ", resumes run " + run.origin : "");
byId("why").textContent = [run.why, run.damage].filter(Boolean).join("\n");

// --- graph: a column per distance from the start
(() => {
  const index = new Map(run.steps.map((s, i) => [s.name, i]));
  const height = run.steps.map(() => 0);
  for (let round = 0; round < run.steps.length; ++round)
    for (const [i, s] of run.steps.entries())
      for (const next of s.next) {
        const n = index.get(next);
        if (n !== undefined && n > i) height[n] = Math.max(height[n], height[i] + 1);
      }
  const columns = [];
  run.steps.forEach((s, i) => (columns[height[i]] = columns[height[i]] || []).push(i));
  const w = 132, h = 40, dx = 176, dy = 58, most = Math.max(...columns.map(c => c.length));
  const place = [];
  columns.forEach((c, x) => c.forEach((i, y) => place[i] = [10 + x * dx, 10 + (y + (most - c.length) / 2) * dy]));
  const NS = "http://www.w3.org/2000/svg";
  const make = (tag, attributes, text) => {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const svg = make("svg", {width: columns.length * dx, height: most * dy + 12, role: "img", "aria-label": "the graph of the flow"});
  const defs = make("defs", {});
  const marker = make("marker", {id: "head", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto"});
  marker.append(make("path", {d: "M0,0 L8,4 L0,8 z", fill: css("--dim")}));
  defs.append(marker);
  svg.append(defs);
  run.steps.forEach((s, i) => s.next.forEach(next => {
    const n = index.get(next);
    if (n === undefined) return;
    const [x, y] = place[i], [u, v] = place[n];
    const d = n === i ? `M${x + w - 30},${y} c0,-14 24,-14 24,0` : n > i ? `M${x + w},${y + h / 2} C${x + w + 22},${y + h / 2} ${u - 22},${v + h / 2} ${u},${v + h / 2}`
                      : `M${x},${y + h} C${x - 20},${y + h + 26} ${u + w + 20},${v + h + 26} ${u + w},${v + h}`;
    svg.append(make("path", {d, fill: "none", stroke: css("--dim"), "marker-end": "url(#head)"}));
  }));
  run.steps.forEach((s, i) => {
    const [x, y] = place[i];
    const stroke = s.failed ? css("--failed") : s.running ? css("--running") : s.done || s.cloned ? css("--done") : css("--line");
    svg.append(make("rect", {x, y, width: w, height: h, rx: 6, fill: css("--panel"), stroke, "stroke-width": 2}));
    svg.append(make("text", {x: x + 10, y: y + 17, "font-weight": 600}, s.name.length > 16 ? s.name.slice(0, 15) + "…" : s.name));
    const over = s.done + s.cloned;
    svg.append(make("text", {x: x + 10, y: y + 33, style: "fill:" + css("--dim")},
      s.tasks ? over.toLocaleString() + " of " + s.tasks.toLocaleString() + (s.failed ? ", " + s.failed + " failed" : "") : "not started"));
  });
  byId("graph").append(svg);
})();

const fill = (id, head, rows) => {
  const table = byId(id), tr = add(table, "tr");
  for (const [name, number] of head) add(tr, "th", name, number ? {class: "n"} : {});
  for (const row of rows) {
    const line = add(table, "tr");
    row.forEach((cell, i) => add(line, "td", cell, head[i][1] ? {class: "n"} : {}));
  }
};
const number = x => x ? x.toLocaleString() : "-";
const spans = new Map();
for (const a of attempts) {
  const s = spans.get(a.step) || {begin: Infinity, end: 0, longest: 0, sum: 0, count: 0};
  s.begin = Math.min(s.begin, a.begin); s.end = Math.max(s.end, a.end); s.longest = Math.max(s.longest, a.end - a.begin);
  s.sum += a.end - a.begin; ++s.count;
  spans.set(a.step, s);
}
fill("steps", [["step"], ["tasks", 1], ["done", 1], ["cloned", 1], ["failed", 1], ["first start to last end", 1], ["attempt, mean", 1], ["attempt, longest", 1],
               ["peak memory", 1], ["processor time", 1]],
  run.steps.map(s => { const span = spans.get(s.name);
    return [s.name, number(s.tasks), number(s.done), number(s.cloned), number(s.failed), span ? time(span.end - span.begin) : "-",
            span ? time(span.sum / span.count) : "-", span ? time(span.longest) : "-", bytes(s.memory), s.cpu ? time(s.cpu * 1000) : "-"]; }));
const name = a => a.step + "/" + a.task + (a.label ? " (" + a.label + ")" : "") + (a.n ? " (attempt " + a.n + ")" : "");
const failed = attempts.filter(a => a.how === "failed");
if (!failed.length) byId("failed-title").textContent = "No attempt failed";
else fill("failed", [["task"], ["after", 1], ["took", 1], ["peak memory", 1], ["cause"]],
  failed.slice(0, 100).map(a => [name(a), time(a.begin), time(a.end - a.begin), bytes(a.memory), a.cause]));
const top10 = key => [...attempts].sort((a, b) => key(b) - key(a)).slice(0, 10);
fill("slowest", [["task"], ["took", 1], ["processor time", 1], ["result"]],
  top10(a => a.end - a.begin).map(a => [name(a), time(a.end - a.begin), time(a.cpu * 1000), a.open ? "unfinished" : a.how]));
fill("largest", [["task"], ["peak memory", 1], ["took", 1], ["result"]],
  top10(a => a.memory).map(a => [name(a), bytes(a.memory), time(a.end - a.begin), a.open ? "unfinished" : a.how]));

// --- Gantt chart: each step has as many lanes as it had concurrent attempts
(() => {
  for (const how of ["done", "failed", "stopped", "running"]) {
    const span = add(byId("legend"), "span");
    add(span, "i", "", {style: "background:" + colour(how)});
    span.append({done: "done", failed: "failed", stopped: "stopped (another task failed, or interrupted)", running: "unfinished"}[how]);
  }
  const groups = [];
  let lanes = 0;
  for (const s of run.steps) {
    const mine = attempts.filter(a => a.step === s.name).sort((a, b) => a.begin - b.begin);
    if (!mine.length) continue;
    const free = [];
    for (const a of mine) {
      let lane = free.findIndex(end => end <= a.begin);
      if (lane < 0) lane = free.push(0) - 1;
      free[lane] = a.end;
      a.lane = lanes + lane;
    }
    groups.push({name: s.name, first: lanes, count: free.length, attempts: mine});
    lanes += free.length;
  }
  const box = byId("gantt"), canvas = box.querySelector("canvas"), context = canvas.getContext("2d");
  const left = 130, axis = 24, laneHeight = Math.max(3, Math.min(18, Math.floor(620 / Math.max(1, lanes)))), gap = 8;
  const top = lane => { let y = axis + gap; for (const g of groups) { if (lane >= g.first + g.count) y += gap; } return y + lane * laneHeight; };
  groups.forEach(g => g.top = top(g.first));
  const height = axis + gap * (groups.length + 1) + lanes * laneHeight + 6;
  let from = 0, to = Math.max(1, run.duration), width = 0;
  const x = t => left + (t - from) / (to - from) * (width - left - 12);
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    width = box.clientWidth;
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + "px";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    const raw = (to - from) / Math.max(2, (width - left) / 110), power = 10 ** Math.floor(Math.log10(raw));
    const tick = [1, 2, 5, 10].map(f => f * power).find(t => t >= raw);
    context.strokeStyle = css("--line"); context.fillStyle = css("--dim");
    for (let t = Math.ceil(from / tick) * tick; t <= to; t += tick) {
      context.beginPath(); context.moveTo(x(t), axis - 4); context.lineTo(x(t), height); context.stroke();
      context.fillText(time(t), x(t) + 3, 14);
    }
    context.save();
    context.beginPath(); context.rect(left, axis, width - left, height); context.clip();
    for (const g of groups) for (const a of g.attempts) {
      if (a.end < from || a.begin > to) continue;
      context.fillStyle = colour(a.open ? "running" : a.how);
      context.fillRect(x(a.begin), g.top + (a.lane - g.first) * laneHeight, Math.max(1, x(a.end) - x(a.begin) - .5), Math.max(2, laneHeight - 1));
    }
    context.restore();
    context.fillStyle = css("--text");
    for (const g of groups) context.fillText(g.name.length > 17 ? g.name.slice(0, 16) + "…" : g.name, 8, g.top + Math.max(10, Math.min(14, g.count * laneHeight / 2 + 5)));
  };
  const at = event => {
    const r = canvas.getBoundingClientRect(), px = event.clientX - r.left, py = event.clientY - r.top;
    if (px < left) return null;
    const t = from + (px - left) / (width - left - 12) * (to - from), slack = (to - from) / width * 2;
    for (const g of groups) {
      const lane = g.first + Math.floor((py - g.top) / laneHeight);
      if (py < g.top || lane >= g.first + g.count) continue;
      return g.attempts.find(a => a.lane === lane && a.begin - slack <= t && t <= a.end + slack) || null;
    }
    return null;
  };
  const tip = byId("tip");
  let drag = null;
  canvas.addEventListener("mousemove", event => {
    if (drag) {
      const shift = (drag.x - event.clientX) / (width - left - 12) * (drag.to - drag.from);
      from = drag.from + shift; to = drag.to + shift;
      draw();
      return;
    }
    const a = at(event);
    tip.style.display = a ? "block" : "none";
    if (!a) return;
    tip.textContent = name(a) + "\n" + (a.open ? "unfinished" : a.how) + ", " + time(a.end - a.begin) + ", from " + time(a.begin) +
      "\npeak memory " + bytes(a.memory) + ", processor " + time(a.cpu * 1000) + (a.cause ? "\n" + a.cause : "");
    tip.style.left = Math.min(event.clientX + 14, window.innerWidth - 300) + "px";
    tip.style.top = event.clientY + 14 + "px";
  });
  canvas.addEventListener("mouseleave", () => { tip.style.display = "none"; });
  canvas.addEventListener("mousedown", event => { drag = {x: event.clientX, from, to}; });
  window.addEventListener("mouseup", () => { drag = null; });
  canvas.addEventListener("dblclick", () => { from = 0; to = Math.max(1, run.duration); draw(); });
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    const r = canvas.getBoundingClientRect(), t = from + (event.clientX - r.left - left) / (width - left - 12) * (to - from);
    const factor = event.deltaY > 0 ? 1.25 : 0.8;
    from = t - (t - from) * factor; to = t + (to - t) * factor;
    draw();
  }, {passive: false});
  window.addEventListener("resize", draw);
  draw();
})();
</script>
</body>
</html>
)html";

}  // namespace

std::string timeline_page(std::string_view json) {
  constexpr std::string_view kMark = "/*DATA*/null";
  const std::size_t at = kPage.find(kMark);
  std::string page(kPage.substr(0, at));
  // The browser would interpret "</script>" or "<!--" in the data. "<" occurs in JSON only inside strings.
  for (const char c : json) c == '<' ? page += "\\u003c" : page += c;
  return page.append(kPage.substr(at + kMark.size()));
}

}  // namespace metaflow::cli
