// Training in motion: what one run predicts after every epoch, next to its curves.
(() => {
  const root = document.getElementById("training-motion"), data = window.pneumoMotion;
  if (!root || !data) return;

  const side = data.size, STEP_MS = 700, TRUE = [230, 159, 0], MASK = [86, 180, 233];
  const $ = (name) => root.querySelector(`[data-is="${name}"]`);
  const element = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
  const slider = $("moment");

  // Where a moment stands on the charts' axis, in epochs of both stages; averaged weights half an epoch after the last.
  const before = data.epochs.map((_, k) => data.epochs.slice(0, k).reduce((a, b) => a + b, 0));
  const moments = data.moments.map((one) => ({
    ...one, x: before[one.stage - 1] + (one.epoch ?? data.epochs[one.stage - 1] + 0.5), image: new Image(),
  }));

  function name({ stage, epoch }) {
    const where = `stage ${stage} at ${data.sizes[stage - 1]} pixels`;
    if (epoch) return `${where}, epoch ${epoch} of ${data.epochs[stage - 1]}`;
    return `${where}, weights averaged over the last ${data.averaged[stage - 1]} epochs`;
  }

  const total = before[before.length - 1] + data.epochs[data.epochs.length - 1];
  const axis = {
    x: [1, total + 1], xTicks: [1, ...[5, 10, 15, 20, 40, 60, 80].filter((epoch) => epoch <= total)], xLabel: "epoch of both stages",
    dividers: before.slice(1).map((epoch) => epoch + 0.75),
  };
  const ends = (value) => moments.filter((one) => !one.epoch && value(one) !== null);
  const curve = (style, value) => ({
    name: style, points: moments.filter((one) => one.epoch && value(one) !== null).map((one) => [one.x, value(one)]),
    dots: ends(value).map((one) => [one.x, value(one)]),
  });
  const losses = [curve("first", (one) => one.train_loss), curve("second", (one) => one.scores.val_loss)];
  const scores = [curve("first", (one) => one.scores.val_dsc), curve("third", (one) => one.scores.val_positive_dsc)];
  const highest = Math.ceil(2 * Math.max(...losses.flatMap((one) => [...one.points, ...one.dots]).map(([, value]) => value))) / 2;

  function charts(cursor) {
    const halves = Array.from({ length: 2 * highest + 1 }, (_, k) => k / 2);
    window.pneumoChart($("losses"), { ...axis, y: [0, highest], yTicks: halves, lines: losses, cursor });
    const level = { value: data.baseline, error: 0 };
    window.pneumoChart($("scores"), { ...axis, y: [0, 1], yTicks: [0, 0.25, 0.5, 0.75, 1], lines: scores, level, cursor });
  }

  function bits(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return Uint8Array.from({ length: side * side }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1);
  }
  const views = data.shown.map((one) => {
    const figure = element("figure"), canvas = element("canvas", { width: side, height: side }), caption = element("figcaption");
    canvas.setAttribute("role", "img");
    figure.append(canvas, caption);
    return { canvas, caption, figure, truth: bits(one.truth), picture: one.picture, image: new Image() };
  });
  $("images").append(...views.map((view) => view.figure));

  // Sixteenths that the probability of each pixel exceeds: the k-th picture of the strip, its pixels repeated to the page's size.
  function levels(moment, k) {
    const small = moment.image.height, canvas = element("canvas", { width: small, height: small });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(moment.image, -k * small, 0);
    const pixels = context.getImageData(0, 0, small, small).data, scale = side / small;
    return Uint8Array.from({ length: side * side }, (_, i) => {
      const row = Math.floor(Math.floor(i / side) / scale), column = Math.floor((i % side) / scale);
      return pixels[4 * (row * small + column)] / 17;
    });
  }
  const count = (mask) => mask.reduce((a, b) => a + b, 0);
  function dsc(truth, mask) {
    const all = count(truth) + count(mask);
    return all ? (2 * count(truth.map((on, i) => on & mask[i]))) / all : 1;
  }
  const edge = (mask, i) => mask[i] && (i % side === 0 || i % side === side - 1 || !mask[i - 1] || !mask[i + 1] || !mask[i - side] || !mask[i + side]);

  function paint(view, moment, k) {
    const context = view.canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(view.image, 0, 0);
    const picture = context.getImageData(0, 0, side, side), found = levels(moment, k);
    const mask = found.map((level) => Number(level >= 16 * data.threshold));
    const tint = (i, colour, strength) => {
      for (let c = 0; c < 3; c++) picture.data[4 * i + c] = picture.data[4 * i + c] * (1 - strength) + colour[c] * strength;
    };
    for (let i = 0; i < side * side; i++) {
      tint(i, MASK, found[i] / 30);
      if (edge(mask, i)) tint(i, MASK, 1);
      if (edge(view.truth, i)) tint(i, TRUE, 1);
    }
    context.putImageData(picture, 0, 0);
    const truth = view.truth.includes(1) ? "" : "no pneumothorax; ", empty = mask.includes(1) ? "" : "empty mask, ";
    const text = `${truth}${empty}DSC ${dsc(view.truth, mask).toFixed(2)}`;
    view.caption.textContent = text;
    view.canvas.setAttribute("aria-label", `Validation image ${k + 1}: ${text}`);
  }

  function show() {
    const moment = moments[slider.value], { scores: found } = moment;
    $("moment-name").textContent = name(moment);
    slider.setAttribute("aria-valuetext", name(moment));
    const values = { dsc: found.val_dsc, positive: found.val_positive_dsc, stepwise: found.val_stepwise_iou };
    for (const [one, value] of Object.entries(values)) $(one).textContent = value === null ? "none" : value.toFixed(4);
    $("empty").textContent = `${moment.empty} of ${data.images}`;
    $("missed").textContent = `${moment.missed} of ${data.positive}`;
    views.forEach((view, k) => paint(view, moment, k));
    charts(moment.x);
  }

  let timer = null;
  function stop() {
    clearInterval(timer);
    timer = null;
    $("play").textContent = "Play";
  }
  function step() {
    if (Number(slider.value) >= moments.length - 1) return stop();
    slider.value = Number(slider.value) + 1;
    return show();
  }
  $("play").addEventListener("click", () => {
    if (timer !== null) return stop();
    if (Number(slider.value) >= moments.length - 1) slider.value = 0;
    show();
    $("play").textContent = "Pause";
    timer = setInterval(step, STEP_MS);
    return undefined;
  });
  slider.addEventListener("input", () => { stop(); show(); });

  slider.max = moments.length - 1;
  $("label").textContent = data.label;
  $("threshold").textContent = data.threshold;
  $("count").textContent = data.images;
  $("baseline").textContent = data.baseline.toFixed(4);
  const loaded = [
    ...views.map((view) => [view.image, view.picture]), ...moments.map((moment) => [moment.image, moment.levels]),
  ].map(([image, source]) => { image.src = source; return image.decode(); });
  Promise.all(loaded).then(() => {
    root.hidden = false;
    slider.value = 0;
    show();
  });
})();
