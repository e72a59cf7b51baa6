// The quiz: says whether a chosen option is right, opens its explanation and counts. First choices count.
(() => {
  const root = document.getElementById("quiz-questions");
  if (!root) return;

  const score = root.querySelector('[data-is="score"]'), asked = [...root.querySelectorAll("fieldset")];
  let right = 0, answered = 0;

  function count() {
    score.textContent = `${right} right of ${answered} answered; ${score.dataset.total} questions in all. First choices count.`;
  }
  for (const fieldset of asked) {
    const verdict = fieldset.querySelector(".think-verdict");
    let first = true;
    fieldset.addEventListener("change", (event) => {
      const correct = event.target.value === fieldset.dataset.answer;
      verdict.textContent = correct ? "✓ Right." : "✗ Wrong.";
      fieldset.dataset.verdict = correct ? "right" : "wrong";
      fieldset.querySelector("details").open = true;
      if (!first) return;
      first = false;
      answered += 1;
      right += Number(correct);
      count();
    });
  }
  count();
})();
