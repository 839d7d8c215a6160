// The page: puts its parts together.

import { Demo } from "./demo.js";
import { Live } from "./live.js";
import { NetworkMap } from "./map.js";
import { Histories, alarmsOf, namesOf, openSite, severity, showAlarms, showPairs, showSites, showSpans } from "./panels.js";
import { by, make, say, set } from "./shown.js";
import { clock, save, saved, setLanguage, titleOf, words } from "./words.js";

if (location.search) history.replaceState(null, "", "/"); // the token is good for others, too

const map = new NetworkMap(by("map"), openSite);
const histories = new Histories();
const said = (text) => say(by("said"), text);
const live = new Live({ changed, relay: (data) => map.relay(data), stood });
const demo = new Demo(said, () => show(true));
let known = null;
let waiting = false;

function changed(names) {
  if (names === null) known = null;
  announce();
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; show(histories.take(live.state)); });
}

function show(sampled) {
  const { state } = live;
  showStanding();
  if (!state) return;
  document.title = `${titleOf(state)} · Tokaido`;
  say(by("title"), titleOf(state));
  say(by("kind"), state.emulation ? words().emulated : words().real);
  showVerdict(state);
  map.show(state);
  showPairs(state);
  showAlarms(state);
  demo.show(state, live.live);
  showSpans(state, histories, sampled);
  showSites(state);
}

function showVerdict(state) {
  const [sites, spans, alarms] = [state.sites.length, state.spans.length, alarmsOf(state).length];
  const bad = state.sites.filter((site) => site.level !== "fine").length;
  const still = state.spans.filter((span) => !span.running).length;
  say(by("verdict"), bad || still || alarms ? words().verdict(bad, sites, still, spans, alarms) : words().verdictFine(sites, spans));
  by("verdict").classList.toggle("bad", bad + still + alarms > 0);
  say(by("map-says"), words().mapSays(sites, spans));
}

function showStanding() {
  const time = live.state && clock(live.state.utc_s);
  say(by("live-text"), live.live ? words().live(time) : live.ended ? words().ended : live.why ? words().lostWhy(live.why)
    : time ? words().lost(time) : words().connecting);
}

function stood(isLive) {
  document.body.classList.toggle("stale", !isLive);
  if (isLive && !document.body.classList.replace("waiting", "ready")) said(words().back);
  if (!isLive && live.state) said(words().old);
  show(false);
}

/** Tells new alarms, and those that are gone, to people who hear the page: each once. */
function announce() {
  const now = new Map(alarmsOf(live.state).map((alarm) => [alarm.id, alarm]));
  const name = namesOf(live.state);
  if (known !== null) {
    const fresh = [...now.values()].filter((alarm) => !known.has(alarm.id));
    const gone = [...known.values()].filter((alarm) => !now.has(alarm.id));
    const told = [...fresh.map((alarm) => words().saidAlarm(severity(alarm), alarm.code, name(alarm.site))),
      ...gone.map((alarm) => words().saidCleared(alarm.code, name(alarm.site)))];
    if (told.length) said([...told.slice(0, 3), ...(told.length > 3 ? [words().saidMore(told.length - 3)] : [])].join(" "));
  }
  known = now;
}

function speak(language) {
  setLanguage(language);
  document.documentElement.lang = language;
  for (const one of ["en", "ja"]) set(by(`language-${one}`), "aria-pressed", one === language);
  for (const node of document.querySelectorAll("[data-word]")) say(node, words()[node.dataset.word]);
  for (const node of document.querySelectorAll("[data-label]")) set(node, "aria-label", words()[node.dataset.label]);
  const swatches = [...words().qberOf.map((text, i) => [String(i), `QBER ${text}`]), ["none", words().none]];
  by("legend").replaceChildren(
    ...swatches.map(([kind, text]) => make("li", {}, make("span", { class: "swatch", "data-qber": kind, "aria-hidden": "true" }), text)),
    make("li", {}, make("span", { class: "dot", "aria-hidden": "true" }), words().key),
  );
  show(true);
}

for (const language of ["en", "ja"]) by(`language-${language}`).addEventListener("click", () => { save(language); speak(language); });
speak(saved());
live.start();
fetch("history").then((answer) => (answer.ok ? answer.json() : null)).then((told) => { if (told) { histories.load(told); show(true); } }, () => {});
