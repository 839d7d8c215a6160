// What the demonstration alone has: drills, and two applications that share a key.

import { namesOf } from "./panels.js";
import { Keyed, by, make, say, set } from "./shown.js";
import { isJapanese, titleOf, words } from "./words.js";

/** Sends an order, and returns what came of it: an object, or an error that says why not. */
async function order(path) {
  const answer = await fetch(path, { method: "POST" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error([told.error ?? answer.status, told.remedy].filter(Boolean).join(". "));
  return told;
}

export class Demo {
  #refusals = new Map();
  #shown = "";
  #busy = false;

  /** `said` tells a text to people who hear the page; `again` shows the state once more. */
  constructor(said, again) {
    this.said = said;
    this.again = again;
    this.drills = new Keyed(by("drills"), (drill) => drill.name, (drill) => {
      const [button, expected, seen] = [make("button", { type: "button", "data-drill": drill.name }), make("p", { class: "quiet" }), make("p", { class: "seen" })];
      button.addEventListener("click", () => this.#begin(drill.name, button));
      return { node: make("li", {}, button, expected, seen), button, expected, seen };
    });
    for (const verb of ["encrypt", "decrypt"]) by(verb).addEventListener("click", () => this.#apply(verb));
  }

  async #begin(name, button) {
    this.#refusals.delete(name);
    try {
      await order(`drills/${encodeURIComponent(name)}`);
      this.said(words().began(button.textContent));
    } catch (error) {
      this.#refusals.set(name, error.message);
      this.said(`${words().refused}: ${error.message}`);
    }
    this.again();
  }

  async #apply(verb) {
    this.#busy = true;
    this.again();
    try {
      const exchange = await order(`applications/${verb}`);
      await this.#draw(exchange);
      this.said(exchange.seen);
    } catch (error) {
      this.said(`${words().refused}: ${error.message}`);
      say(by("exchange-seen"), `${words().refused}: ${error.message}`);
    }
    this.#busy = false;
    this.again();
  }

  show(state, live) {
    by("drills-card").hidden = state.drills.length === 0;
    for (const [drill, shown] of this.drills.show(state.drills)) {
      const refused = this.#refusals.get(drill.name);
      set(shown.node, "data-state", drill.state);
      say(shown.button, titleOf(drill));
      shown.button.disabled = !live || drill.state === "unavailable";
      set(shown.button, "aria-disabled", drill.state === "running");
      const expected = (isJapanese() && drill.expected_ja) || drill.expected;
      say(shown.expected, expected && `${words().expected}: ${expected}`);
      say(shown.seen, [words().drillStates[drill.state], drill.seen, refused && `${words().refused}: ${refused}`].filter(Boolean).join(": "));
    }
    this.#showExchange(state, live);
  }

  #showExchange({ exchange, applications, ...state }, live) {
    by("applications-card").hidden = exchange === null;
    if (exchange === null) return;
    const name = namesOf(state);
    for (const application of applications) {
      say(by(`${application.role}-title`), words().at(titleOf(application), name(application.site)));
    }
    say(by("cipher"), words().cipherIs(exchange.cipher, exchange.bits));
    by("encrypt").disabled = !live || this.#busy;
    by("decrypt").disabled = !live || this.#busy || exchange.state !== "encrypted";
    if (!this.#busy && exchange.seen) say(by("exchange-seen"), [exchange.seen, exchange.route.map(name).join(" › ")].filter(Boolean).join(": "));
    set(by("exchange-seen"), "lang", "en");
    this.#draw(exchange);
  }

  async #draw(exchange) {
    const now = `${exchange.number} ${exchange.state}`;
    if (now === this.#shown) return;
    this.#shown = now;
    const there = { picture: true, ciphertext: exchange.state !== "ready", opened: exchange.state === "opened" };
    for (const [which, is] of Object.entries(there)) {
      const pixels = is ? await fetch(`applications/${which}`).then((answer) => (answer.ok ? answer.arrayBuffer() : null)) : null;
      paint(by(which), exchange, pixels);
    }
  }
}

function paint(canvas, { width, height }, buffer) {
  [canvas.width, canvas.height] = [width, height];
  canvas.dataset.painted = buffer !== null;
  if (buffer === null) return;
  const [pixels, image] = [new Uint8Array(buffer), new ImageData(width, height)];
  for (let i = 0; i < width * height; i++) {
    image.data.set(pixels.subarray(3 * i, 3 * i + 3), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
