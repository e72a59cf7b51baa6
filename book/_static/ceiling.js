// The ceiling: what a perfect predictor scores on the challenge's masks once components below R-TH are removed.
(() => {
  const root = document.getElementById("removal-ceiling"), data = window.pneumoCeiling;
  if (!root || !data) return;

  const $ = (name) => root.querySelector(`[data-is="${name}"]`);
  const last = data.removal.length - 1;
  const slider = $("rth");
  slider.max = last;
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const points = (values) => values.map((value, k) => [data.removal[k], value]);
  const axis = { x: [0, data.removal[last]], xTicks: [0, 2048, 4096, 6144, 8192], xLabel: "R-TH in pixels" };

  function charts(k) {
    const cursor = data.removal[k], level = { value: data.baseline, error: data.error };
    const lines = [{ name: "first", points: points(data.dsc) }, { name: "second", points: points(data.stepwise) }];
    window.pneumoChart($("means"), { ...axis, y: [0.75, 1], yTicks: [0.75, 0.8, 0.85, 0.9, 0.95, 1], lines, level, cursor });
    const shares = [{ name: "third", points: points(data.positive) }, { name: "fourth", points: points(data.erased) }];
    window.pneumoChart($("shares"), { ...axis, y: [0, 1], yTicks: [0, 0.25, 0.5, 0.75, 1], lines: shares, cursor });
    const bars = data.areas.flatMap(([from, to, value]) => {
      // A bin that the cursor divides is removed in part; areas are taken as even within it, on the logarithmic axis.
      const middle = Math.min(to, Math.max(from, cursor || 1));
      return [{ name: "gone", from, to: middle, value }, { name: "kept", from: middle, to, value }].filter((bar) => bar.to > bar.from);
    });
    window.pneumoChart($("areas"), {
      x: [1, 65536], y: [0, 1000], xTicks: [1, 16, 256, 4096, 65536], yTicks: [0, 250, 500, 750, 1000],
      xLabel: "area in pixels of the 512 x 512 grid", lines: [], bars, logarithmic: true, cursor: Math.max(1, cursor),
    });
  }

  function show() {
    const k = Number(slider.value), minimum = data.removal[k];
    const text = minimum ? `${minimum} pixels` : "none removed";
    slider.setAttribute("aria-valuetext", text);
    $("rth-value").textContent = text;
    const values = { dsc: data.dsc[k].toFixed(4), stepwise: data.stepwise[k].toFixed(4), positive: data.positive[k].toFixed(4) };
    values.erased = percent(data.erased[k]);
    values.room = (data.dsc[k] - data.baseline).toFixed(4);
    for (const [name, value] of Object.entries(values)) $(name).textContent = value;
    charts(k);
  }

  $("baseline").textContent = `${data.baseline.toFixed(4)} ± ${data.error.toFixed(3)}`;
  $("sample").textContent = data.images.toLocaleString("en");
  for (const button of root.querySelectorAll("[data-rth]")) {
    button.addEventListener("click", () => { slider.value = data.removal.indexOf(Number(button.dataset.rth)); show(); });
  }
  slider.addEventListener("input", show);
  root.hidden = false;
  slider.value = data.removal.indexOf(3072);
  show();
})();
