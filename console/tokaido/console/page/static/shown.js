// Writes to the page what is different, and leaves the rest alone.

export const by = (id) => document.getElementById(id);

export function make(kind, attributes = {}, ...inside) {
  const node = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
}

export function draw(kind, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

export function say(node, text) { if (node.textContent !== text) node.textContent = text; }

export function set(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

export function grow(bar, part) {
  const to = `scaleX(${Math.min(Math.max(part, 0), 1).toFixed(3)})`;
  if (bar.style.transform !== to) bar.style.transform = to;
}

/** Keeps one child of `parent` for each item, made by `make(item)`, in their order. */
export class Keyed {
  #nodes = new Map();
  constructor(parent, of, make) { Object.assign(this, { parent, of, make }); }

  /** Makes and removes children, and returns `[item, child]` of all. */
  show(items) {
    const wanted = new Set(items.map(this.of));
    for (const [name, shown] of this.#nodes) if (!wanted.has(name)) { shown.node.remove(); this.#nodes.delete(name); }
    return items.map((item, number) => {
      const name = this.of(item);
      if (!this.#nodes.has(name)) this.#nodes.set(name, this.make(item));
      const shown = this.#nodes.get(name);
      if (this.parent.children[number] !== shown.node) this.parent.insertBefore(shown.node, this.parent.children[number] ?? null);
      return [item, shown];
    });
  }
}

/** Class of a span's QBER, from "0" to "4"; "none": it gives no key. */
export function classOf(span) {
  if (span.qber === null || (!span.running && span.qber < 0.11)) return "none";
  return String([0.03, 0.05, 0.08, 0.11].filter((edge) => span.qber >= edge).length);
}
