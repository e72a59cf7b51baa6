// You are the radiologist: mark the pneumothorax on phantoms, or say that there is none; at the end the scores.
(() => {
  const root = document.getElementById("radiologist"), data = window.pneumoRadiologist;
  if (!root || !data) return;

  const SHARE = 2669 / 12047;  // of positive images in the challenge
  const side = data.size, pixels = side * side, radius = Math.round(side / 48);
  const $ = (name) => root.querySelector(`[data-is="${name}"]`);
  const element = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

  // The challenge's run-length encoding: pairs "gap length" down the columns; "-1" is the empty mask.
  function decode(code) {
    const mask = new Uint8Array(pixels), numbers = code === "-1" ? [] : code.split(" ").map(Number);
    let at = 0;
    numbers.forEach((number, k) => {
      if (k % 2) for (let n = at; n < at + number; n++) mask[(n % side) * side + Math.floor(n / side)] = 1;
      at += number;
    });
    return mask;
  }
  const count = (mask) => mask.reduce((a, b) => a + b, 0);
  const cases = data.images.map((one) => ({
    ...one, truth: decode(one.truth), predicted: one.predicted === null ? null : decode(one.predicted), image: new Image(), marks: new Uint8Array(pixels),
  }));
  const network = data.network !== null;

  function judge(truth, marked) {
    const common = count(truth.map((on, i) => on & marked[i])), total = count(truth) + count(marked);
    const positive = truth.includes(1), called = marked.includes(1);
    return { positive, called, found: common > 0, dsc: total ? (2 * common) / total : 1 };
  }

  const TRUE = [230, 159, 0], MARK = [86, 180, 233], NETWORK = [204, 121, 167];
  // Two pixels wide, since the pictures are shown smaller at the end.
  const outside = (mask, u, v) => u < 0 || v < 0 || u >= side || v >= side || !mask[v * side + u];
  function edge(mask, i) {
    const u = i % side, v = Math.floor(i / side);
    return mask[i] && [1, 2].some((d) => [[d, 0], [-d, 0], [0, d], [0, -d]].some(([x, y]) => outside(mask, u + x, v + y)));
  }
  function draw(canvas, one, { crosshair, solved } = {}) {
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(one.image, 0, 0, side, side);
    const picture = context.getImageData(0, 0, side, side);
    const tint = (i, colour, strength) => {
      for (let k = 0; k < 3; k++) picture.data[4 * i + k] = picture.data[4 * i + k] * (1 - strength) + colour[k] * strength;
    };
    for (let i = 0; i < pixels; i++) {
      if (one.marks[i]) tint(i, MARK, 0.4);
      if (solved && one.predicted && edge(one.predicted, i)) tint(i, NETWORK, 1);
      if (solved && edge(one.truth, i)) tint(i, TRUE, 1);
    }
    context.putImageData(picture, 0, 0);
    if (!crosshair) return;
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(crosshair[0] + 4 * dx, crosshair[1] + 4 * dy);
        context.lineTo(crosshair[0] + 16 * dx, crosshair[1] + 16 * dy);
      }
      context.stroke();
    }
  }

  const canvas = $("xray");
  let current = 0, cross = [side / 2, side / 2], keyboard = false, brushing = false;

  function show() {
    draw(canvas, cases[current], { crosshair: keyboard && cross });
    const marked = cases[current].marks.includes(1);
    $("progress").textContent = `Image ${current + 1} of ${cases.length}${marked ? ", marked" : ""}.`;
    $("answer").disabled = $("clear").disabled = !marked;
  }
  function mark([x, y]) {
    for (let v = Math.max(0, y - radius); v <= Math.min(side - 1, y + radius); v++) {
      for (let u = Math.max(0, x - radius); u <= Math.min(side - 1, x + radius); u++) {
        if ((u - x) ** 2 + (v - y) ** 2 <= radius ** 2) cases[current].marks[v * side + u] = 1;
      }
    }
    show();
  }
  function clear() {
    cases[current].marks.fill(0);
    show();
  }
  function next() {
    current += 1;
    cross = [side / 2, side / 2];
    if (current < cases.length) show(); else report();
  }
  const actions = {
    answer: () => { if (!cases[current].marks.includes(1)) mark(cross); next(); },
    none: () => { clear(); next(); },
    clear,
  };
  for (const [name, act] of Object.entries(actions)) {
    $(name).addEventListener("click", () => { act(); if (current < cases.length) canvas.focus({ preventScroll: true }); });
  }

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key], length = event.shiftKey ? 2 : radius;
    keyboard = true;
    if (step) cross = cross.map((one, k) => Math.min(side - 1, Math.max(0, one + length * step[k])));
    else if (event.key === " ") mark(cross);
    else if (event.key === "Enter") actions.answer();
    else if (event.key.toLowerCase() === "n") actions.none();
    else if (event.key.toLowerCase() === "c") clear();
    else return;
    event.preventDefault();
    if (current < cases.length) show();
  });
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((share) => Math.floor(share * side));
  };
  canvas.addEventListener("pointerdown", (event) => { keyboard = false; brushing = true; mark(place(event)); });
  canvas.addEventListener("pointermove", (event) => { if (brushing) mark(place(event)); });
  for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => { brushing = false; });

  function summary(results) {
    const positive = results.filter((one) => one.positive), negative = results.filter((one) => !one.positive);
    const alarms = negative.filter((one) => one.called).length, within = mean(positive.map((one) => one.dsc));
    return {
      "sensitivity": `${positive.filter((one) => one.found).length} of ${positive.length}`,
      "false positives": `${alarms} of ${negative.length}`,
      "mean DSC": mean(results.map((one) => one.dsc)).toFixed(4),
      "positive-only DSC": within.toFixed(4),
      "mean DSC at the challenge's share": ((1 - SHARE) * (1 - alarms / negative.length) + SHARE * within).toFixed(4),
    };
  }
  function verdict({ positive, called, found, dsc }) {
    if (!positive) return called ? "false positive" : "true negative";
    return found ? `true positive, DSC ${dsc.toFixed(2)}` : called ? "marked elsewhere, false negative" : "false negative";
  }

  function report() {
    const own = cases.map((one) => judge(one.truth, one.marks));
    const its = network ? cases.map((one) => judge(one.truth, one.predicted)) : null;
    const columns = [summary(own), ...(network ? [summary(its)] : [])];
    $("scores").replaceChildren(...Object.keys(columns[0]).map((name) => {
      const row = element("tr"), head = element("th", { scope: "row", textContent: name });
      row.append(head, ...columns.map((column) => element("td", { textContent: column[name] })));
      return row;
    }));
    $("gallery").replaceChildren(...cases.map((one, k) => {
      const figure = element("figure"), view = element("canvas");
      const kind = own[k].positive ? `${one.kind}, ${one.side}: ` : "no pneumothorax: ";
      const text = `${k + 1}. ${kind}${verdict(own[k])}${network ? `; network: ${verdict(its[k])}` : ""}`;
      draw(view, one, { solved: true });
      view.setAttribute("role", "img");
      view.setAttribute("aria-label", `X-ray ${k + 1} with the outline of the pneumothorax and your marks`);
      figure.append(view, element("figcaption", { textContent: text }));
      return figure;
    }));
    $("reading").hidden = true;
    $("report").hidden = false;
    $("again").focus({ preventScroll: true });
    $("report").scrollIntoView({ block: "start" });
  }
  function begin() {
    current = 0;
    for (const one of cases) one.marks.fill(0);
    $("report").hidden = true;
    $("reading").hidden = false;
    show();
  }
  $("again").addEventListener("click", begin);

  $("label").textContent = data.label;
  $("composition").textContent = `${cases.length} images, about half of them with a pneumothorax`;
  $("network").textContent = network ? "network" : "";
  $("network").hidden = $("network-key").hidden = !network;
  $("missing").hidden = network;
  $("beside").textContent = network ? ` and the network's (${data.network})` : "";
  Promise.all(cases.map((one) => { one.image.src = one.picture; return one.image.decode(); })).then(() => {
    root.hidden = false;
    begin();
  });
})();
