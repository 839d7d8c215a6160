// Where marks and labels go: on the map's scale, and so that none covers another.

const RADIUS = 7;

/** Returns a projection of [latitude, longitude] to pixels that shows all sites in `width` by `height`. */
export function projection(sites, width, height, geography) {
  const margin = { x: Math.max(26, width * 0.075), y: Math.max(34, height * 0.13) };
  const [south, north] = extent(sites.map((site) => site.latitude));
  const [west, east] = extent(sites.map((site) => site.longitude));
  const shrink = geography ? Math.cos((((south + north) / 2) * Math.PI) / 180) : 1;
  const across = Math.max((east - west) * shrink, 1e-9);
  const up = Math.max(north - south, 1e-9);
  let x = (width - 2 * margin.x) / across;
  let y = (height - 2 * margin.y) / up;
  if (geography) x = y = Math.min(x, y);
  y = Math.min(y, height / 2 / 0.7); // a diagram of one row
  return ([latitude, longitude]) => [
    width / 2 + (longitude - (west + east) / 2) * shrink * x,
    height / 2 - (latitude - (south + north) / 2) * y,
  ];
}

function extent(values) { return [Math.min(...values), Math.max(...values)]; }

/** Moves marks apart that would cover each other; the same places always give the same result. */
export function spread(points, width, height) {
  const apart = 2 * RADIUS + 3;
  const moved = points.map(([x, y]) => [x, y]);
  for (let round = 0; round < 60; round++) {
    let again = false;
    for (let i = 0; i < moved.length; i++) {
      for (let j = i + 1; j < moved.length; j++) {
        let [dx, dy] = [moved[j][0] - moved[i][0], moved[j][1] - moved[i][1]];
        const distance = Math.hypot(dx, dy);
        if (distance >= apart) continue;
        if (distance < 0.01) [dx, dy] = [0, 1]; else [dx, dy] = [dx / distance, dy / distance];
        const push = (apart - distance) / 2 + 0.1;
        moved[i][0] -= dx * push; moved[i][1] -= dy * push;
        moved[j][0] += dx * push; moved[j][1] += dy * push;
        again = true;
      }
    }
    for (const point of moved) {
      point[0] = Math.min(Math.max(point[0], RADIUS + 3), width - RADIUS - 3);
      point[1] = Math.min(Math.max(point[1], RADIUS + 3), height - RADIUS - 3);
    }
    if (!again) break;
  }
  return moved;
}

/** Places one label for each point: `{x, y, leader}` of its middle, or null where none fits.
 *  `sizes` are [width, height]; `lines` are [[x, y], [x, y]] that labels better leave free. */
export function labels(points, sizes, lines, width, height) {
  const crowd = points.map(([x, y], i) => points.reduce((sum, [a, b], j) => sum + (i === j ? 0 : 1 / (20 + Math.hypot(a - x, b - y))), 0));
  let order = points.map((_, i) => i).sort((i, j) => crowd[j] - crowd[i] || i - j);
  let best = null;
  for (let round = 0; round < 8; round++) {
    const placed = inOrder(order, points, sizes, lines, width, height);
    const left = order.filter((i) => placed[i] === null);
    if (best === null || left.length < best.left) best = { placed, left: left.length };
    if (left.length === 0) break;
    order = [...left, ...order.filter((i) => placed[i] !== null)]; // those that found no room go first
  }
  return best.placed;
}

function inOrder(order, points, sizes, lines, width, height) {
  const marks = points.map(([x, y]) => box(x, y, 2 * RADIUS + 3, 2 * RADIUS + 3));
  const taken = [];
  const leaders = [];
  const placed = points.map(() => null);
  for (const i of order) {
    let best = null;
    for (const option of options(points[i], sizes[i])) {
      const cost = costOf(option, i);
      if (cost < (best?.cost ?? 1e6)) best = { ...option, cost };
    }
    if (best === null) continue;
    placed[i] = best;
    taken.push(best.box);
    if (best.leader) leaders.push([points[i], [best.x, best.y]]);
  }
  return placed;

  function costOf({ box: here, leader, far, x, y }, i) {
    if (here.left < 2 || here.top < 2 || here.right > width - 2 || here.bottom > height - 2) return Infinity;
    if (taken.some((other) => meet(here, other)) || leaders.some((line) => crosses(line, here))) return Infinity;
    if (marks.some((mark, j) => meet(here, mark) && (j !== i || !leader))) return Infinity;
    const to = [[...points[i]], [x, y]];
    if (leader && taken.some((other) => crosses(to, other))) return Infinity;
    return far + 55 * lines.filter((line) => crosses(line, here)).length
      + (leader ? 120 * marks.filter((mark, j) => j !== i && crosses(to, mark)).length : 0);
  }
}

function* options([x, y], [w, h]) {
  const near = RADIUS + 5;
  yield at(x, y - near - h / 2, 0);
  yield at(x, y + near + h / 2, 2);
  yield at(x + near + w / 2, y, 4);
  yield at(x - near - w / 2, y, 6);
  for (const [across, up] of [[1, -1], [-1, -1], [1, 1], [-1, 1]]) yield at(x + across * (w / 2 + 6), y + up * (h / 2 + 7), 12);
  for (const step of [1, 2, 3, 4, 5, 6, 7]) {
    for (const up of [-1, 1]) {
      for (const across of [0, 0.5, -0.5, 0.9, -0.9, 1.4, -1.4]) {
        yield { ...at(x + across * w, y + up * (near + h / 2 + step * h * 0.9), 24 + 16 * step + 10 * Math.abs(across)), leader: true };
      }
    }
  }
  function at(a, b, far) { return { x: a, y: b, box: box(a, b, w + 4, h + 2), far, leader: false }; }
}

const box = (x, y, w, h) => ({ left: x - w / 2, right: x + w / 2, top: y - h / 2, bottom: y + h / 2 });
export const meet = (one, other) => one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

/** Whether a line passes through a box (Liang and Barsky). */
export function crosses([[x0, y0], [x1, y1]], { left, right, top, bottom }) {
  let [enter, leave] = [0, 1];
  for (const [p, q] of [[x0 - x1, x0 - left], [x1 - x0, right - x0], [y0 - y1, y0 - top], [y1 - y0, bottom - y0]]) {
    if (p === 0) { if (q < 0) return false; } else if (p < 0) enter = Math.max(enter, q / p); else leave = Math.min(leave, q / p);
  }
  return enter <= leave;
}

export { box };
