// A line chart as SVG: pneumoChart(svg, {x, y, xTicks, yTicks, xLabel, lines, cursor, level, dividers, bars}).
// x and y are [lowest, highest]; a line is {name, points: [[x, y], ...]} with dots of the same form if it has any, and is
// styled by its name (think.css); level is a horizontal line {value, error}, drawn dashed with a band of +- error; cursor is
// an x, dividers are several.
window.pneumoChart = (svg, { x, y, xTicks, yTicks, xLabel, lines, cursor, level, logarithmic = false, bars = [], dividers = [] }) => {
  const WIDTH = 460, HEIGHT = 270, LEFT = 54, RIGHT = 30, TOP = 12, BOTTOM = 50;
  const scaled = logarithmic ? Math.log2 : (value) => value;
  const px = (value) => LEFT + ((scaled(value) - scaled(x[0])) / (scaled(x[1]) - scaled(x[0]))) * (WIDTH - LEFT - RIGHT);
  const py = (value) => TOP + ((y[1] - value) / (y[1] - y[0])) * (HEIGHT - TOP - BOTTOM);
  const path = (points) => points.map(([a, b], k) => `${k ? "L" : "M"}${px(a).toFixed(1)},${py(b).toFixed(1)}`).join("");
  const across = (value, kind) => `<line class="${kind}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${py(value)}" y2="${py(value)}"/>`;
  const parts = yTicks.map((value) => `${across(value, "grid")}<text x="${LEFT - 7}" y="${py(value) + 6}" text-anchor="end">${value}</text>`);
  parts.push(...xTicks.map((value) => `<text x="${px(value)}" y="${HEIGHT - BOTTOM + 21}" text-anchor="middle">${value}</text>`));
  parts.push(`<text x="${(WIDTH + LEFT - RIGHT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${xLabel}</text>`);
  for (const { name, from, to, value } of bars) {
    parts.push(`<rect class="${name}" x="${px(from) + 1}" width="${Math.max(1, px(to) - px(from) - 2)}" y="${py(value)}" height="${py(y[0]) - py(value)}"/>`);
  }
  if (level) {
    const [high, low] = [level.value + level.error, level.value - level.error].map((value) => py(Math.max(y[0], Math.min(y[1], value))));
    parts.push(`<rect class="band" x="${LEFT}" width="${WIDTH - LEFT - RIGHT}" y="${high}" height="${low - high}"/>`, across(level.value, "level"));
  }
  const upright = (value, kind) => parts.push(`<line class="${kind}" x1="${px(value)}" x2="${px(value)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`);
  for (const value of dividers) upright(value, "divider");
  if (cursor !== undefined) upright(cursor, "cursor");
  for (const { name, points, dots = [] } of lines) {
    parts.push(`<path class="${name}" d="${path(points)}"/>`);
    parts.push(...dots.map(([a, b]) => `<circle class="${name}" cx="${px(a)}" cy="${py(b)}" r="5"/>`));
  }
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.innerHTML = parts.join("");
};
