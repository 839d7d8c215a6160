// The map: coast, spans, sites, labels, and keys on their way.

import { FUJI, LAKES, LAND } from "./coast.js";
import { box, crosses, labels, meet, projection, spread } from "./places.js";
import { classOf, draw, say, set } from "./shown.js";
import { percent, titleOf, words } from "./words.js";

const HOP_MS = 520;
const MOST_KEYS = 6;
const CIRCLE = "M-6 0a6 6 0 1 1 12 0a6 6 0 1 1 -12 0Z";
const MARKS = { fine: CIRCLE, silent: CIRCLE, degraded: "M0 -8L8 6L-8 6Z", "not serving": "M-6 -6H6V6H-6Z" };
const still = matchMedia("(prefers-reduced-motion: reduce)");
const pen = document.createElement("canvas").getContext("2d");

export class NetworkMap {
  #points = new Map();
  #spans = new Map();
  #marks = new Map();
  #figures = new Map();
  #drawn = "";
  #moving = 0;

  /** `open(name)` is called with the site that somebody clicks on. */
  constructor(svg, open) {
    this.svg = svg;
    this.open = open;
    this.state = null;
    new ResizeObserver(() => { if (this.state) this.show(this.state); }).observe(svg.parentElement);
  }

  show(state) {
    this.state = state;
    const width = this.svg.parentElement.clientWidth;
    const where = state.sites.map((site) => [titleOf(site), site.latitude, site.longitude]);
    const drawn = JSON.stringify([width, where, state.spans.map((span) => span.name), state.geography]);
    if (drawn !== this.#drawn) { this.#drawn = drawn; this.#lay(width); }
    for (const span of state.spans) this.#showSpan(span);
    for (const site of state.sites) {
      const mark = this.#marks.get(site.name);
      set(mark, "data-level", site.level);
      set(mark, "d", MARKS[site.level]);
      say(mark.firstChild, `${titleOf(site)}: ${words().levels[site.level]}`);
    }
  }

  #showSpan(span) {
    const line = this.#spans.get(span.name);
    const kind = classOf(span);
    set(line, "data-qber", kind);
    set(line, "data-running", span.running);
    const told = kind === "none" ? words().noKey : percent(span.qber);
    say(line.firstChild, `${this.#names(span)}: ${told}`);
    const figure = this.#figures.get(span.name);
    if (figure) say(figure, told);
  }

  #names(span) {
    return span.ends.map((end) => titleOf(this.state.sites.find((site) => site.name === end) ?? { title: end })).join(" – ");
  }

  #lay(width) {
    const { sites, spans, geography } = this.state;
    const height = Math.round(Math.min(Math.max(width * 0.4, 270), 540));
    for (const [name, value] of [["width", width], ["height", height], ["viewBox", `0 0 ${width} ${height}`]]) set(this.svg, name, value);
    this.#moving = 0;
    this.#points.clear(); this.#spans.clear(); this.#marks.clear(); this.#figures.clear();
    const root = draw("g", width < 560 ? { class: "narrow" } : {});
    if (sites.length) {
      const project = projection(sites, width, height, geography);
      if (geography) root.append(...coast(project));
      const points = spread(sites.map((site) => project([site.latitude, site.longitude])), width, height);
      sites.forEach((site, i) => this.#points.set(site.name, points[i]));
      const net = draw("g", { class: "net" });
      const lines = this.#drawSpans(net, spans);
      this.keys = draw("g");
      net.append(this.keys);
      this.#drawSites(net, sites, points, lines, width, height);
      root.append(net);
    }
    this.svg.replaceChildren(root);
  }

  #drawSpans(net, spans) {
    const count = new Map();
    const lines = [];
    const shown = [];
    for (const span of spans) {
      const [from, to] = span.ends.map((end) => this.#points.get(end));
      if (!from || !to) continue;
      const pair = [...span.ends].sort().join(" ");
      const nth = count.get(pair) ?? 0;
      count.set(pair, nth + 1);
      const middle = bent(from, to, nth === 0 ? 0 : (nth % 2 ? 1 : -1) * Math.ceil(nth / 2) * 22);
      const path = `M${from[0].toFixed(1)} ${from[1].toFixed(1)}Q${middle.map((one) => one.toFixed(1)).join(" ")} ${to[0].toFixed(1)} ${to[1].toFixed(1)}`;
      net.append(draw("path", { class: "casing", d: path }));
      const line = draw("path", { class: "span", d: path, "data-span": span.name });
      line.append(draw("title"));
      shown.push(line);
      this.#spans.set(span.name, line);
      lines.push([from, to]);
    }
    net.append(...shown);
    return lines;
  }

  #drawSites(net, sites, points, lines, width, height) {
    pen.font = `600 ${width < 560 ? 12 : 13}px ${getComputedStyle(document.body).fontFamily}`;
    const sizes = sites.map((site) => [pen.measureText(titleOf(site)).width + 2, 15]);
    const placed = labels(points, sizes, lines, width, height);
    const taken = points.map(([x, y]) => box(x, y, 20, 20));
    placed.forEach((label, i) => {
      if (!label) return;
      taken.push(label.box);
      if (label.leader) net.append(draw("line", { class: "leader", x1: points[i][0], y1: points[i][1], x2: label.x, y2: label.y + (label.y < points[i][1] ? 7 : -7) }));
    });
    if (width >= 760) this.#drawFigures(net, taken, placed, points, lines, width, height);
    sites.forEach((site, i) => {
      const mark = draw("path", { class: "mark", transform: `translate(${points[i].join(" ")})`, "data-site": site.name });
      mark.append(draw("title"));
      mark.addEventListener("click", () => this.open(site.name));
      this.#marks.set(site.name, mark);
      net.append(mark);
    });
    placed.forEach((label, i) => {
      if (!label) return;
      const text = draw("text", { class: "site", x: label.x, y: label.y + 4.5, "text-anchor": "middle" });
      text.textContent = titleOf(sites[i]);
      text.addEventListener("click", () => this.open(sites[i].name));
      net.append(text);
    });
  }

  /** Writes the QBER beside each span where there is room. */
  #drawFigures(net, taken, placed, points, lines, width, height) {
    const leaders = placed.flatMap((label, i) => (label?.leader ? [[points[i], [label.x, label.y]]] : []));
    this.state.spans.forEach((span) => {
      const [from, to] = span.ends.map((end) => this.#points.get(end));
      if (!from || !to) return;
      const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
      if (length < 60) return;
      const across = [-(to[1] - from[1]) / length, (to[0] - from[0]) / length];
      for (const [along, off] of [[0.5, 14], [0.5, -14], [0.4, 15], [0.6, 15], [0.4, -15], [0.6, -15], [0.3, 16], [0.7, 16], [0.3, -16], [0.7, -16]]) {
        const x = from[0] + (to[0] - from[0]) * along + across[0] * off * 1.5;
        const y = from[1] + (to[1] - from[1]) * along + across[1] * off;
        const here = box(x, y, 40, 14);
        const free = here.left > 0 && here.right < width && here.top > 0 && here.bottom < height
          && !taken.some((other) => meet(here, other)) && ![...lines, ...leaders].some((line) => crosses(line, here));
        if (!free) continue;
        const text = draw("text", { class: "figure value", x, y: y + 4, "text-anchor": "middle" });
        this.#figures.set(span.name, text);
        taken.push(here);
        net.append(text);
        return;
      }
    });
  }

  /** Shows keys that go over a route, hop by hop. */
  relay({ route, state }) {
    const points = route.map((name) => this.#points.get(name));
    if (points.length < 2 || points.some((point) => !point) || this.#moving >= MOST_KEYS || document.hidden) return;
    this.#moving++;
    const path = draw("path", { class: "taken", d: `M${points.map((point) => point.join(" ")).join("L")}`, "data-state": state });
    const dot = draw("circle", { class: "key", r: 6, cx: 0, cy: 0 });
    const keys = this.keys;
    keys.append(path);
    const gone = () => { path.remove(); dot.remove(); if (keys === this.keys) this.#moving--; };
    if (still.matches) { setTimeout(gone, 2000); return; }
    keys.append(dot);
    const place = ([x, y]) => `translate(${x}px, ${y}px)`;
    const frames = points.map((point, i) => ({ transform: place(point), offset: i / (points.length - 1), easing: "cubic-bezier(.45,0,.25,1)" }));
    const moving = dot.animate(frames, { duration: HOP_MS * (points.length - 1), fill: "both" });
    path.animate([{ opacity: 0 }, { opacity: 0.55, offset: 0.1 }, { opacity: 0.55, offset: 0.85 }, { opacity: 0 }], { duration: HOP_MS * points.length, fill: "both" });
    moving.onfinish = () => {
      dot.remove();
      const ring = draw("circle", { class: "ring", cx: points.at(-1)[0], cy: points.at(-1)[1], r: 8 });
      keys.append(ring);
      ring.animate([{ r: "7px", opacity: 0.9 }, { r: "18px", opacity: 0 }], { duration: 700, fill: "both" }).onfinish = () => { ring.remove(); gone(); };
    };
  }
}

function bent([x0, y0], [x1, y1], by) {
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  return [(x0 + x1) / 2 - ((y1 - y0) / length) * by, (y0 + y1) / 2 + ((x1 - x0) / length) * by];
}

function coast(project) {
  const [x, y] = project(FUJI);
  const peak = draw("path", { class: "peak", d: `M${x - 8} ${y + 6}L${x - 2} ${y - 4}L${x + 2} ${y - 4}L${x + 8} ${y + 6}` });
  return [
    ...LAND.map((shore) => draw("path", { class: "land", d: softened(shore.map(project)) })),
    ...LAKES.map((shore) => draw("path", { class: "lake", d: softened(shore.map(project)) })),
    peak,
  ];
}

/** A closed curve by the middles of a polygon's sides: a coarse coast looks like a coast. */
function softened(points) {
  const middle = (i) => [0, 1].map((axis) => (points[i % points.length][axis] + points[(i + 1) % points.length][axis]) / 2);
  const told = (point) => point.map((one) => one.toFixed(1)).join(" ");
  return `M${told(middle(0))}${points.map((_, i) => `Q${told(points[(i + 1) % points.length])} ${told(middle(i + 1))}`).join("")}Z`;
}
