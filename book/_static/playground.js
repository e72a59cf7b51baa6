// The playground: scores, losses and gradients of two painted masks, as pneumo_lib.metrics and pneumo_lib.model.losses
// define them, and the run-length encoding of pneumo_lib.data.rle.
(() => {
  const root = document.getElementById("mask-playground");
  if (!root) return;

  const SIDE = 16, PIXELS = SIDE * SIDE;
  const PROBABILITIES = [0.51, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999];
  const $ = (name) => root.querySelector(`[data-is="${name}"]`);
  const element = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);

  // Masks are Uint8Array of PIXELS, row by row. A box is [top, left, bottom, right], its end not included.
  const boxes = (...all) => {
    const mask = new Uint8Array(PIXELS);
    for (const [top, left, bottom, right] of all) {
      for (let y = top; y < bottom; y++) mask.fill(1, y * SIDE + left, y * SIDE + right);
    }
    return mask;
  };
  const count = (mask) => mask.reduce((a, b) => a + b, 0);

  // A grid that is painted with a pointer, or with arrow keys and the space bar.
  function makeGrid(host, { painted, visited }) {
    const mask = new Uint8Array(PIXELS), cells = [];
    let current = 0, brush = null;
    host.classList.add("think-grid");
    for (let y = 0; y < SIDE; y++) {
      const row = element("div");
      row.setAttribute("role", "row");
      for (let x = 0; x < SIDE; x++) {
        const cell = element("div", { tabIndex: cells.length ? -1 : 0 });
        cell.setAttribute("role", "gridcell");
        cell.setAttribute("aria-label", `row ${y + 1}, column ${x + 1}`);
        cells.push(cell);
        row.append(cell);
      }
      host.append(row);
    }
    const show = () => cells.forEach((cell, i) => {
      if (cell.getAttribute("aria-selected") !== String(!!mask[i])) cell.setAttribute("aria-selected", !!mask[i]);
    });
    const paint = (i, value) => { if (mask[i] !== value) { mask[i] = value; show(); painted(); } };
    const visit = (i) => {
      cells[current].tabIndex = -1;
      current = i;
      cells[i].tabIndex = 0;
      visited(i);
    };
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -SIDE], End: [0, SIDE] };
    const inside = (k) => Math.min(SIDE - 1, Math.max(0, k));
    host.addEventListener("keydown", (event) => {
      if (event.key === " " || event.key === "Enter") paint(current, 1 - mask[current]);
      else if (step[event.key]) {
        const [dy, dx] = step[event.key];
        cells[inside(Math.floor(current / SIDE) + dy) * SIDE + inside((current % SIDE) + dx)].focus();
      } else return;
      event.preventDefault();
    });
    host.addEventListener("focusin", (event) => { if (cells.includes(event.target)) visit(cells.indexOf(event.target)); });
    const under = (event) => cells.indexOf(document.elementFromPoint(event.clientX, event.clientY));
    host.addEventListener("pointerdown", (event) => {
      const i = under(event);
      if (i < 0) return;
      // A finger is captured by the cell that it touched first, which would hide the others from it.
      event.target.releasePointerCapture(event.pointerId);
      brush = 1 - mask[i];
      paint(i, brush);
    });
    host.addEventListener("pointermove", (event) => {
      const i = under(event);
      if (i < 0) return;
      visit(i);
      if (brush !== null) paint(i, brush);
    });
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => { brush = null; });
    return { mask, cells, set: (other) => { mask.set(other); show(); }, at: () => current };
  }

  // Scores from counts of pixels: predicted, true, common.
  function scores(predicted, truth, common) {
    const sum = predicted + truth, union = sum - common;
    if (!union) return { dsc: 1, iou: 1, stepwise: 1 };
    // IoU > k / 20 for k = 10..19 holds for the integers k below 20 I / U: exact, which .55 is not.
    const passed = Math.min(10, Math.max(0, Math.ceil((20 * common) / union) - 10));
    return { dsc: (2 * common) / sum, iou: common / union, stepwise: passed / 10 };
  }

  // Losses of probabilities p for the truth y, and their gradients with respect to the logits.
  function losses(p, y, smooth) {
    let bce = 0, common = 0, predicted = 0, truth = 0;
    for (let i = 0; i < PIXELS; i++) {
      bce -= Math.log(y[i] ? p[i] : 1 - p[i]) / PIXELS;
      common += p[i] * y[i];
      predicted += p[i];
      truth += y[i];
    }
    const above = 2 * common + smooth, below = predicted + truth + smooth;
    return {
      bce,
      dice: 1 - above / below,
      bceGradient: p.map((one, i) => (one - y[i]) / PIXELS),
      diceGradient: p.map((one, i) => ((above - 2 * y[i] * below) / below ** 2) * one * (1 - one)),
    };
  }

  const PRESETS = {
    "both empty": [boxes(), boxes()],
    "one false pixel": [boxes(), boxes([7, 7, 8, 8])],
    "one true pixel, missed": [boxes([7, 7, 8, 8]), boxes()],
    "one pixel, off by one": [boxes([7, 7, 8, 8]), boxes([7, 8, 8, 9])],
    "half overlap": [boxes([5, 3, 11, 9]), boxes([5, 6, 11, 12])],
    "off by one": [boxes([5, 4, 11, 10]), boxes([5, 5, 11, 11])],
    "thin rim, off by one": [boxes([1, 3, 15, 5]), boxes([1, 4, 15, 6])],
  };
  const truth = makeGrid($("truth"), { painted: show, visited: showPixel });
  const predicted = makeGrid($("predicted"), { painted: show, visited: showPixel });
  const slider = $("probability"), oneScale = $("one-scale");
  slider.max = PROBABILITIES.length - 1;
  slider.value = PROBABILITIES.indexOf(0.9);
  let pixel = 0, found = null;

  function buttons(host, names, choose) {
    for (const name of names) {
      const button = element("button", { type: "button", textContent: name });
      button.addEventListener("click", () => choose(name));
      host.append(button, " ");
    }
  }

  function drawMap(canvas, gradient, largest) {
    canvas.width = canvas.height = SIDE;
    const context = canvas.getContext("2d"), picture = context.createImageData(SIDE, SIDE);
    gradient.forEach((value, i) => {
      const strength = largest ? Math.sqrt(Math.abs(value) / largest) : 0;
      picture.data.set([...(value > 0 ? [213, 94, 0] : [0, 114, 178]), 255 * strength], 4 * i);
    });
    context.putImageData(picture, 0, 0);
  }

  function show() {
    const painted = PROBABILITIES[slider.value], smooth = Number(root.querySelector("[name=playground-smooth]:checked").value);
    const p = Float64Array.from(predicted.mask, (on) => (on ? painted : 1 - painted));
    const counts = [count(predicted.mask), count(truth.mask), count(predicted.mask.map((on, i) => on & truth.mask[i]))];
    found = { p, ...losses(p, truth.mask, smooth) };
    const { dsc, iou, stepwise } = scores(...counts);
    const digits = (1 - painted).toFixed(3).replace(/0+$/, "");
    slider.setAttribute("aria-valuetext", painted);
    $("probability-value").textContent = painted;
    $("rest-value").textContent = digits;
    $("counts").textContent = counts.join(" / ");
    const values = { dsc, iou, bce: found.bce, dice: found.dice, loss: found.bce + found.dice };
    for (const [name, value] of Object.entries(values)) $(name).textContent = value.toFixed(4);
    $("stepwise").textContent = stepwise.toFixed(1);
    const largest = { bce: found.bceGradient, dice: found.diceGradient };
    for (const name in largest) largest[name] = Math.max(...largest[name].map(Math.abs));
    const shared = oneScale.checked ? Math.max(largest.bce, largest.dice) : 0;
    for (const name in largest) {
      $(`${name}-largest`).textContent = largest[name].toExponential(1);
      drawMap($(`${name}-map`), found[`${name}Gradient`], shared || largest[name]);
    }
    for (const [one, other] of [[truth, predicted], [predicted, truth]]) {
      one.cells.forEach((cell, i) => cell.classList.toggle("other", !!other.mask[i]));
    }
    showPixel(pixel);
  }

  function showPixel(i) {
    pixel = i;
    if (!found) return;
    const gradients = [found.bceGradient[i], found.diceGradient[i]].map((value) => value.toExponential(3));
    $("pixel").textContent = `Row ${Math.floor(i / SIDE) + 1}, column ${(i % SIDE) + 1}: truth ${truth.mask[i]}, ` +
      `probability ${+found.p[i].toFixed(3)}; gradient of BCE ${gradients[0]}, of the Dice loss ${gradients[1]}.`;
  }

  function preset(name) {
    truth.set(PRESETS[name][0]);
    predicted.set(PRESETS[name][1]);
    show();
  }
  buttons($("presets"), Object.keys(PRESETS), preset);
  for (const one of [slider, oneScale, ...root.querySelectorAll("[name=playground-smooth]")]) one.addEventListener("input", show);

  // Run-length encoding: pairs "gap length" down the columns, each gap counted from the end of the last run.
  const transposed = (i) => (i % SIDE) * SIDE + Math.floor(i / SIDE);
  function encode(mask) {
    const numbers = [];
    let on = 0, length = 0;
    for (let k = 0; k < PIXELS; k++) {
      if (mask[transposed(k)] !== on) { numbers.push(length); on = 1 - on; length = 0; }
      length += 1;
    }
    if (on) numbers.push(length);
    return numbers.join(" ") || "-1";
  }

  // Either { mask, numbers } or { error }, one sentence.
  function decode(text) {
    const mask = new Uint8Array(PIXELS), tokens = text.split(/\s+/).filter(Boolean);
    if (!tokens.length) return { error: "The encoding is empty; write -1 for an empty mask." };
    if (tokens.length === 1 && tokens[0] === "-1") return { mask, numbers: [] };
    const wrong = tokens.findIndex((token) => !/^[0-9]+$/.test(token));
    if (wrong >= 0) return { error: `Number ${wrong + 1} is "${tokens[wrong].slice(0, 20)}", not a whole number of 0 or more; correct it.` };
    if (tokens.length % 2) return { error: `The encoding has ${tokens.length} number${tokens.length > 1 ? "s" : ""}, but they come in pairs gap, length; add or remove one.` };
    const numbers = tokens.map(Number);
    const blank = numbers.findIndex((number, k) => k % 2 && !number);
    if (blank >= 0) return { error: `Number ${blank + 1} is a run of 0 pixels; a run has at least 1.` };
    let end = 0;
    for (const [k, number] of numbers.entries()) {
      if (end + number > PIXELS) return { error: `Number ${k + 1} runs past the last of the ${PIXELS} pixels; each gap counts from the end of the previous run.` };
      if (k % 2) for (let n = end; n < end + number; n++) mask[transposed(n)] = 1;
      end += number;
    }
    return { mask, numbers };
  }

  const CODES = { "two columns": "32 32", "two rows": encode(boxes([2, 0, 4, SIDE])), "last pixel": "255 1", rim: "18 12 5 10", empty: "-1" };
  const code = $("code");
  const painting = makeGrid($("painted"), { painted: () => { code.value = encode(painting.mask); explain(); }, visited: showPlace });

  function explain() {
    const read = decode(code.value);
    code.setAttribute("aria-invalid", !!read.error);
    $("message").textContent = read.error || `${count(read.mask)} of ${PIXELS} pixels are on.`;
    if (read.error) return;
    painting.set(read.mask);
    let end = 0;
    $("runs").replaceChildren(...Array.from({ length: read.numbers.length / 2 }, (_, k) => {
      const [gap, length] = read.numbers.slice(2 * k, 2 * k + 2), start = end + gap;
      end = start + length;
      return element("li", { textContent: `${gap} ${length}: skip ${gap}, then ${length} on (${start} to ${end - 1})` });
    }));
  }

  function showPlace(i) {
    $("place").textContent = `Row ${Math.floor(i / SIDE) + 1}, column ${(i % SIDE) + 1} is pixel ${transposed(i)}: pixels are counted from 0, down the columns.`;
  }
  code.addEventListener("input", explain);
  buttons($("codes"), Object.keys(CODES), (name) => { code.value = CODES[name]; explain(); });

  const tabs = [...root.querySelectorAll("[role=tab]")];
  function open(tab) {
    for (const one of tabs) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", chosen);
      one.tabIndex = chosen ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !chosen;
    }
  }
  for (const [k, tab] of tabs.entries()) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const next = tabs[(k + 1) % tabs.length];
      open(next);
      next.focus();
    });
  }

  root.hidden = false;
  preset("off by one");
  code.value = CODES.rim;
  explain();
  showPlace(0);
})();
