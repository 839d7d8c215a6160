// Listens to the server, and keeps the state as it is.

const LISTS = { sites: "name", spans: "name", pairs: "ends", drills: "name", applications: "name" };
const SILENT_MS = 5000;
const key = (item, by) => String(item[by]);

export class Live {
  state = null;
  /** When the server's values were heard last, and why they are not live; empty: they are. */
  why = "";
  ended = false;
  #heard = 0;
  #watch = null;

  /** Calls `changed(names of what changed)`, `relay(data)`, and `stood(live)` when values become live or old. */
  constructor({ changed, relay, stood }) {
    this.changed = changed;
    this.relay = relay;
    this.stood = stood;
    this.live = false;
  }

  start() {
    const source = new EventSource("events");
    const hear = (name, take) => source.addEventListener(name, (event) => take(JSON.parse(event.data)));
    hear("state", (data) => { this.state = data; this.#fresh(); this.changed(null); });
    hear("change", (data) => { const names = this.#merge(data); this.#fresh(); this.changed(names); });
    hear("beat", (data) => { if (this.state) { this.state.utc_s = data.utc_s; this.#fresh(); this.changed([]); } });
    hear("relay", (data) => { if (this.live) this.relay(data); });
    hear("lost", (data) => { this.#heard = performance.now(); this.#old(data.why); });
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.#refused();
      this.#old("");
    };
    this.#watch ??= setInterval(() => { if (this.live && performance.now() - this.#heard > SILENT_MS) this.#old(""); }, 1000);
  }

  /** A server that was started again knows this page no more; one that refused for a moment is asked again. */
  async #refused() {
    const status = await fetch("state").then((answer) => answer.status, () => 0);
    if (status === 403) { this.ended = true; this.#old("ended"); } else setTimeout(() => this.start(), 3000);
  }

  #merge(change) {
    const names = [];
    for (const [name, value] of Object.entries(change)) {
      if (name in LISTS) {
        const fresh = new Map(value.map((item) => [key(item, LISTS[name]), item]));
        this.state[name] = this.state[name].map((item) => fresh.get(key(item, LISTS[name])) ?? item);
      } else {
        this.state[name] = value;
      }
      names.push(name);
    }
    return names;
  }

  #fresh() {
    this.#heard = performance.now();
    this.why = "";
    if (!this.live) { this.live = true; this.stood(true); }
  }

  #old(why) {
    const was = this.live;
    this.live = false;
    if (was || this.why !== why || !this.state) { this.why = why; this.stood(false); }
  }
}
