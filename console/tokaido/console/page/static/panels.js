// Tables and lists: spans, keys, alarms, sites.

import { Keyed, by, classOf, draw, grow, make, say, set } from "./shown.js";
import { amount, countdown, isJapanese, percent, titleOf, words } from "./words.js";

const SIGNS = { fine: "●", degraded: "▲", "not serving": "■", silent: "○" };
const RANKS = { CRITICAL: 0, MAJOR: 1, MINOR: 2, WARNING: 3 };
const LOW_S = 600;
const nodeSays = () => (isJapanese() ? { lang: "en" } : {});

export const namesOf = (state) => {
  const titles = new Map(state.sites.map((site) => [site.name, titleOf(site)]));
  return (name) => titles.get(name) ?? name;
};

/** Small curves of the last five minutes; the server has those of before the page was loaded. */
export class Histories {
  #spans = new Map();
  #taken = 0;
  period = 5;
  samples = 60;

  load({ period_s, samples, spans }) {
    [this.period, this.samples] = [period_s, samples];
    for (const [name, values] of Object.entries(spans)) this.#spans.set(name, values);
  }

  /** Takes a sample when it is time, and returns whether it did. */
  take(state) {
    if (state.utc_s - this.#taken < this.period && state.utc_s >= this.#taken) return false;
    this.#taken = state.utc_s;
    for (const span of state.spans) {
      const kept = this.#spans.get(span.name) ?? { qber: [], secret_key_rate: [], stock_bits: [] };
      this.#spans.set(span.name, kept);
      for (const value of Object.keys(kept)) {
        kept[value].push(span[value]);
        if (kept[value].length > this.samples) kept[value].shift();
      }
    }
    return true;
  }

  curve(span, value, least) {
    const values = this.#spans.get(span)?.[value] ?? [];
    const top = Math.max(least, ...values.filter((one) => one !== null)) * 1.08;
    const first = this.samples - values.length;
    let pen = "M";
    return values.map((one, i) => {
      if (one === null) { pen = "M"; return ""; }
      const point = `${pen}${((first + i) * 100 / (this.samples - 1)).toFixed(1)} ${(19 - (18 * one) / top).toFixed(1)}`;
      pen = "L";
      return point;
    }).join("");
  }
}

const spark = () => {
  const curve = draw("path");
  const svg = draw("svg", { class: "spark", viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
  svg.append(curve);
  return [svg, curve];
};

const bar = () => { const part = make("i"); return [make("div", { class: "bar", "aria-hidden": "true" }, part), part]; };

const spans = new Keyed(by("spans"), (span) => span.name, (span) => {
  const [name, facts, more] = [make("span"), make("span", { class: "quiet" }), make("span", { class: "quiet more" })];
  const [swatch, qber, rate, stock, reserve] = [make("i", { class: "swatch", "aria-hidden": "true" }), make("span", { class: "value" }),
    make("span", { class: "value" }), make("span", { class: "value" }), make("span", { class: "quiet value" })];
  const [[qberSpark, qberCurve], [rateSpark, rateCurve], [stockSpark, stockCurve], [stockBar, part]] = [spark(), spark(), spark(), bar()];
  const node = make("tr", { "data-span": span.name }, make("th", { scope: "row" }, name, facts, more), make("td", {}, swatch, qber, qberSpark),
    make("td", {}, rate, rateSpark), make("td", {}, make("div", { class: "both" }, stock, reserve), stockBar, stockSpark));
  return { node, name, facts, more, swatch, qber, rate, stock, reserve, part, qberCurve, rateCurve, stockCurve };
});

let scale = 0;

export function showSpans(state, histories, sampled) {
  const name = namesOf(state);
  const most = Math.max(1, ...state.spans.map((span) => span.stock_bits ?? 0));
  if (most > scale || most < scale / 4) scale = niceAbove(most);
  say(by("stock-scale"), words().scale(amount(scale, "bit")));
  for (const [span, shown] of spans.show(state.spans)) {
    const kind = classOf(span);
    say(shown.name, span.ends.map(name).join(" – "));
    say(shown.facts, span.length_km === null ? "" : `${span.length_km} km`);
    say(shown.more, [span.vendor, span.path && words().path(span.path),
      span.speed === null ? "" : words().speed(span.speed.toFixed(1))].filter(Boolean).join(", "));
    set(shown.swatch, "data-qber", kind);
    say(shown.qber, span.qber === null ? words().unknown : percent(span.qber));
    say(shown.rate, span.running && span.secret_key_rate !== null ? amount(span.secret_key_rate, "bit/s") : span.running ? words().unknown : words().noKey);
    shown.rate.classList.toggle("still", !span.running);
    say(shown.stock, span.stock_bits === null ? words().unknown : amount(span.stock_bits, "bit"));
    say(shown.reserve, span.reserve_s === null ? "" : `${words().reserve} ${countdown(span.reserve_s)}`);
    grow(shown.part, (span.stock_bits ?? 0) / scale);
    if (sampled) {
      set(shown.qberCurve, "d", histories.curve(span.name, "qber", 0.06));
      set(shown.rateCurve, "d", histories.curve(span.name, "secret_key_rate", 1));
      set(shown.stockCurve, "d", histories.curve(span.name, "stock_bits", 1));
    }
  }
}

function niceAbove(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * size).find((step) => step >= value);
}

const pairs = new Keyed(by("pairs"), (pair) => pair.ends.join(" "), () => {
  const [title, reserve, is, ready, route, [readyBar, part]] = [make("h3"), make("p", { class: "reserve value", role: "timer", "aria-live": "off" }),
    make("p", { class: "quiet" }), make("p", { class: "quiet value" }), make("div", { class: "route" }), bar()];
  return { node: make("div", { class: "pair" }, title, reserve, is, readyBar, ready, route), title, reserve, is, ready, route, part };
});

export function showPairs(state) {
  const name = namesOf(state);
  for (const [pair, shown] of pairs.show(state.pairs)) {
    say(shown.title, pair.ends.map(name).join(" – "));
    say(shown.reserve, pair.reserve_s === null ? "–" : countdown(pair.reserve_s));
    shown.reserve.classList.toggle("low", pair.reserve_s !== null && pair.reserve_s < LOW_S);
    say(shown.is, pair.reserve_s === null ? words().noDemand : words().reserveIs);
    say(shown.ready, words().ready(pair.ready, pair.target));
    grow(shown.part, pair.target ? pair.ready / pair.target : 0);
    const told = pair.disjoint.length
      ? pair.disjoint.map((route, i) => `${words().disjoint(i + 1)}: ${route.map(name).join(" › ")}`).join("\n")
      : pair.route.length ? `${words().route}: ${pair.route.map(name).join(" › ")}` : words().noRoute;
    shown.route.classList.toggle("none", !pair.route.length && !pair.disjoint.length);
    if (shown.told !== told) { shown.told = told; shown.route.replaceChildren(...told.split("\n").map((line) => make("p", {}, line))); }
  }
  empty(by("pairs"), state.pairs.length === 0, words().noPairs);
}

function empty(list, is, text) {
  let note = list.querySelector(":scope > .nothing");
  if (!is) { note?.remove(); return; }
  if (!note) { note = make(list.tagName === "UL" ? "li" : "p", { class: "quiet nothing" }); list.append(note); }
  say(note, text);
}

export const alarmsOf = (state) => state.sites
  .flatMap((site) => site.alarms.map((alarm) => ({ ...alarm, site: site.name, id: `${site.name} ${alarm.code} ${alarm.of}` })))
  .sort((one, other) => (RANKS[one.severity] ?? 4) - (RANKS[other.severity] ?? 4) || (one.cause !== "") - (other.cause !== ""));

export const severity = (alarm) => words().severities[alarm.severity] ?? alarm.severity;

const alarms = new Keyed(by("alarms"), (alarm) => alarm.id, () => {
  const [what, text, more] = [make("p", { class: "what" }), make("p"), make("p", { class: "quiet" })];
  return { node: make("li", {}, what, text, more), what, text, more };
});

export function showAlarms(state) {
  const name = namesOf(state);
  const found = alarmsOf(state);
  say(by("alarms-count"), found.length ? `(${found.length})` : "");
  for (const [alarm, shown] of alarms.show(found)) {
    set(shown.node, "data-severity", alarm.severity);
    say(shown.what, `${severity(alarm)}: ${alarm.code}${alarm.of ? words().of(alarm.of) : ""}, ${name(alarm.site)}`);
    say(shown.text, [alarm.text, alarm.to_do].filter(Boolean).join(". "));
    for (const [key, value] of Object.entries({ lang: "en", ...nodeSays() })) set(shown.text, key, value);
    say(shown.more, [alarm.raised && words().since(when(alarm.raised)), alarm.cause && words().followsFrom(alarm.cause),
      alarm.acknowledged && words().acknowledged].filter(Boolean).join(", "));
  }
  empty(by("alarms"), found.length === 0, words().noAlarms);
}

const when = (iso) => { const date = new Date(iso); return Number.isNaN(date.valueOf()) ? iso : date.toLocaleString("en-GB", { dateStyle: "short", timeStyle: "short" }); };

const sites = new Keyed(by("sites"), (site) => site.name, (site) => {
  const [sign, title, level, inside] = [make("span", { class: "sign", "aria-hidden": "true" }), make("h3"), make("span", { class: "level" }), make("div", { class: "inside" })];
  const node = make("details", { "data-site": site.name }, make("summary", {}, sign, title, level), inside);
  return { node, sign, title, level, inside };
});

export function showSites(state) {
  const text = words();
  for (const [site, shown] of sites.show(state.sites)) {
    set(shown.node, "data-level", site.level);
    say(shown.sign, SIGNS[site.level]);
    say(shown.title, titleOf(site));
    say(shown.level, text.levels[site.level]);
    const told = JSON.stringify([site, isJapanese()]);
    if (shown.told === told) continue;
    shown.told = told;
    const lines = [];
    if (site.headline) lines.push(make("p", { lang: "en" }, [site.headline, site.to_do].filter(Boolean).join(". ")));
    if (site.applications.length) lines.push(make("p", {}, `${text.appsHere}: ${site.applications.join(", ")}`));
    lines.push(site.devices.length
      ? make("ul", { "aria-label": text.devices }, ...site.devices.map((device) => make("li", {},
        make("span", {}, device.name), make("span", { class: "quiet" }, device.answers === false ? text.noAnswer : device.state))))
      : make("p", { class: "quiet" }, text.noDevices));
    shown.inside.replaceChildren(...lines);
  }
}

export function openSite(name) {
  const node = by("sites").querySelector(`[data-site="${CSS.escape(name)}"]`);
  if (!node) return;
  node.open = true;
  node.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  node.querySelector("summary").focus({ preventScroll: true });
}
