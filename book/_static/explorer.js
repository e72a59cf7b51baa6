// The explorer: two thresholds turn probability maps into masks, as pneumo_lib.evaluation.sweep does.
(() => {
  const root = document.getElementById("explorer-root");
  const pipelines = window.pneumoPipelines || [];
  if (!root || !pipelines.length) return;

  // One pipeline at a time, as its data are a megabyte; the address names it, so that a link can.
  const asked = new URLSearchParams(window.location.search).get("pipeline");
  const chosen = pipelines.includes(asked) ? asked : pipelines[0];
  const choice = root.querySelector('[data-is="pipeline"]');
  for (const name of [...pipelines].sort()) choice.append(new Option(name, name, name === chosen, name === chosen));
  choice.addEventListener("change", () => { window.location.search = `?pipeline=${encodeURIComponent(choice.value)}`; });
  const script = document.createElement("script");
  script.src = `${root.dataset.folder}explorer-data-${chosen}.js`;
  script.addEventListener("load", () => explore(root, window.pneumoBundle));
  document.head.append(script);

  // Components are counted on maps of the network's size; scores elsewhere in the book are on this grid.
  const GRID = 512;

  function explore(root, data) {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const side = data.size;
    const pixels = side * side;
    const cases = data.images.map((one) => {
      const levels = new Uint16Array(bytes(one.levels).buffer);
      const packed = bytes(one.truth);
      const truth = Uint8Array.from({ length: pixels }, (_, i) => (packed[i >> 3] >> (7 - (i & 7))) & 1);
      return { number: one.number, image: bytes(one.image), levels, truth, dsc: one.dsc, truthPixels: truth.reduce((a, b) => a + b, 0) };
    });

    // Level l means: the probability exceeds the first l thresholds. So threshold b is exceeded where l > b.
    const REMOVED = 1, KEPT = 2;
    function predict(one, b, minimum) {
      const state = new Uint8Array(pixels);
      const seen = new Uint8Array(pixels);
      const counts = { predicted: 0, intersection: 0, kept: 0, removed: 0 };
      for (let start = 0; start < pixels; start++) {
        if (seen[start] || one.levels[start] <= b) continue;
        const component = [start];
        seen[start] = 1;
        for (let k = 0; k < component.length; k++) {
          const y = Math.floor(component[k] / side), x = component[k] % side;
          for (let v = Math.max(0, y - 1); v <= Math.min(side - 1, y + 1); v++) {
            for (let u = Math.max(0, x - 1); u <= Math.min(side - 1, x + 1); u++) {
              const next = v * side + u;
              if (!seen[next] && one.levels[next] > b) { seen[next] = 1; component.push(next); }
            }
          }
        }
        const stays = component.length >= minimum;
        counts[stays ? "kept" : "removed"] += 1;
        for (const pixel of component) {
          state[pixel] = stays ? KEPT : REMOVED;
          if (stays) { counts.predicted += 1; counts.intersection += one.truth[pixel]; }
        }
      }
      const total = counts.predicted + one.truthPixels;
      return { state, ...counts, dsc: total ? (2 * counts.intersection) / total : 1 };
    }

    const TRUE = [230, 159, 0], FOUND = [86, 180, 233], GONE = [204, 121, 167];
    function edge(inside, i) {
      const y = Math.floor(i / side), x = i % side;
      return inside(i) && (x === 0 || y === 0 || x === side - 1 || y === side - 1 ||
        !inside(i - 1) || !inside(i + 1) || !inside(i - side) || !inside(i + side));
    }
    function paint(canvas, one, found) {
      canvas.width = canvas.height = side;
      const context = canvas.getContext("2d");
      const picture = context.createImageData(side, side);
      for (let i = 0; i < pixels; i++) {
        let colour = [one.image[i], one.image[i], one.image[i]];
        const over = (tint, strength) => { colour = colour.map((value, k) => value * (1 - strength) + tint[k] * strength); };
        if (found && found.state[i] === KEPT) over(FOUND, 0.45);
        if (found && found.state[i] === REMOVED) over(GONE, 0.6);
        if (edge((k) => one.truth[k] === 1, i)) over(TRUE, 0.9);
        picture.data.set([...colour, 255], 4 * i);
      }
      context.putImageData(picture, 0, 0);
    }

    const $ = (name) => root.querySelector(`[data-is="${name}"]`);
    const slider = { b: $("bth"), r: $("rth") };
    slider.b.max = data.thresholds.length - 1;
    slider.r.max = data.removal.length - 1;
    $("label").textContent = data.label;
    let current = 0;

    const chooser = $("images");
    let kindBefore = null;
    cases.forEach((one, position) => {
      const kindNow = one.truthPixels ? "with a pneumothorax" : "without a pneumothorax";
      if (kindNow !== kindBefore) chooser.append(Object.assign(document.createElement("span"), { className: "explorer-group", textContent: kindNow }));
      kindBefore = kindNow;
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "explorer-image", value: position, checked: position === 0 });
      input.setAttribute("aria-label", `image ${position + 1}, ${kindNow}`);
      const canvas = document.createElement("canvas");
      paint(canvas, one, null);
      label.append(input, canvas);
      chooser.append(label);
      input.addEventListener("change", () => { current = position; show(); });
    });

    const W = 460, H = 280, LEFT = 48, BOTTOM = 42, TOP = 8, RIGHT = 18;
    const first = data.thresholds[0], last = data.thresholds[data.thresholds.length - 1];
    const px = (threshold) => LEFT + ((threshold - first) / (last - first)) * (W - LEFT - RIGHT);
    const py = (score) => TOP + (1 - score) * (H - TOP - BOTTOM);
    const line = (values) => values.map((value, b) => `${b ? "L" : "M"}${px(data.thresholds[b]).toFixed(1)},${py(value).toFixed(1)}`).join("");
    function curve(b, r, one, own) {
      const ticks = [0, 0.25, 0.5, 0.75, 1].map((score) =>
        `<line class="grid" x1="${LEFT}" x2="${W - RIGHT}" y1="${py(score)}" y2="${py(score)}"/><text x="${LEFT - 6}" y="${py(score) + 5}" text-anchor="end">${score}</text>`).join("");
      const marks = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].map((t) => `<text x="${px(t)}" y="${H - BOTTOM + 18}" text-anchor="middle">${t}</text>`).join("");
      const at = px(data.thresholds[b]);
      $("curve").innerHTML = `${ticks}${marks}<text x="${(W + LEFT) / 2}" y="${H - 2}" text-anchor="middle">B-TH</text>
        <line class="blank" x1="${LEFT}" x2="${W - RIGHT}" y1="${py(data.blank)}" y2="${py(data.blank)}"/>
        <line class="cursor" x1="${at}" x2="${at}" y1="${TOP}" y2="${H - BOTTOM}"/>
        <path class="one" d="${line(one.dsc[r])}"/><path class="all" d="${line(data.mean[r])}"/>
        <rect class="one" x="${at - 5}" y="${py(own) - 5}" width="10" height="10"/><circle class="all" cx="${at}" cy="${py(data.mean[r][b])}" r="6"/>`;
    }

    // The mean alone, on an axis from its lowest to its highest value at any pair of thresholds, and the baseline.
    const values = [...data.mean.flat(), data.blank];
    const low = Math.min(...values), high = Math.max(...values, low + 0.01);
    const ZOOMED = 200;
    const zy = (score) => TOP + ((high - score) / (high - low)) * (ZOOMED - TOP - BOTTOM);
    function zoom(b, r) {
      const ticks = [low, (low + high) / 2, high].map((score) =>
        `<line class="grid" x1="${LEFT}" x2="${W - RIGHT}" y1="${zy(score)}" y2="${zy(score)}"/><text x="${LEFT - 6}" y="${zy(score) + 5}" text-anchor="end">${score.toFixed(2)}</text>`).join("");
      const marks = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].map((t) => `<text x="${px(t)}" y="${ZOOMED - BOTTOM + 20}" text-anchor="middle">${t}</text>`).join("");
      const path = data.mean[r].map((value, k) => `${k ? "L" : "M"}${px(data.thresholds[k]).toFixed(1)},${zy(value).toFixed(1)}`).join("");
      const at = px(data.thresholds[b]);
      $("zoom").innerHTML = `${ticks}${marks}<text x="${(W + LEFT) / 2}" y="${ZOOMED - 2}" text-anchor="middle">B-TH</text>
        <line class="blank" x1="${LEFT}" x2="${W - RIGHT}" y1="${zy(data.blank)}" y2="${zy(data.blank)}"/>
        <line class="cursor" x1="${at}" x2="${at}" y1="${TOP}" y2="${ZOOMED - BOTTOM}"/>
        <path class="all" d="${path}"/><circle class="all" cx="${at}" cy="${zy(data.mean[r][b])}" r="6"/>`;
    }

    function show() {
      const b = Number(slider.b.value), r = Number(slider.r.value), one = cases[current];
      const found = predict(one, b, data.removal[r]);
      const bth = data.thresholds[b].toFixed(3), rth = data.removal[r] ? `${data.removal[r]} pixels (${Math.round(data.removal[r] * (GRID / side) ** 2)} at ${GRID} x ${GRID})` : "none";
      slider.b.setAttribute("aria-valuetext", bth);
      slider.r.setAttribute("aria-valuetext", rth);
      $("bth-value").textContent = bth;
      $("rth-value").textContent = rth;
      paint($("picture"), one, found);
      const values = {
        dsc: found.dsc.toFixed(4), predicted: found.predicted, intersection: found.intersection, truth: one.truthPixels,
        components: `${found.kept} kept, ${found.removed} removed`, mean: data.mean[r][b].toFixed(4), blank: data.blank.toFixed(4),
      };
      for (const [name, value] of Object.entries(values)) $(name).textContent = value;
      curve(b, r, one, found.dsc);
      zoom(b, r);
    }

    const nearest = (values, wanted) => values.reduce((best, value, i) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? i : best), 0);
    function jump([bth, rth]) {
      slider.b.value = nearest(data.thresholds, bth);
      slider.r.value = nearest(data.removal, rth);
      show();
    }
    for (const one of Object.values(slider)) one.addEventListener("input", show);
    $("to-chosen").addEventListener("click", () => jump(data.chosen));
    $("to-deck").addEventListener("click", () => jump(data.deck));
    $("count").textContent = `${data.count.toLocaleString("en")} test images, ${data.positive} with a pneumothorax`;
    root.hidden = false;
    jump(data.chosen);
  }
})();
