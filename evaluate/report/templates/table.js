"use strict";
// The table of scores: other subjects, hemispheres and figures, and sorting.
(() => {
  const data = JSON.parse(document.getElementById("data-table").textContent);
  const table = document.getElementById("table-scores");
  const [subject, hemisphere, metric] = ["subject", "hemisphere", "metric"].map(
    (name) => document.getElementById(`table-${name}`));
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const status = document.getElementById("table-status");

  // The column of the first model, behind ROI, vertices and, where there is any, chance.
  const first = 2 + (Object.keys(data.chance).length > 0);

  const cellsOf = (row) =>
    (data.cells[`${subject.value} ${hemisphere.value}`] || {})[row.dataset.key] || {};
  const tripleOf = (cell) => (cell && cell[data.metrics[metric.value || 0].name]) || [null, null, null];

  // What predictions unrelated to the pictures score; other figures have none.
  function chanceOf(row) {
    const found = (data.chance[`${subject.value} ${hemisphere.value}`] || {})[row.dataset.key];
    return data.metrics[metric.value || 0].name === "score" && found !== undefined ? found : null;
  }

  function show(cell, [value, low, high], digits) {
    cell.textContent = value === null ? "–" : value.toFixed(digits);
    if (value === null || low === null || high === null) return;
    const interval = document.createElement("small");
    interval.textContent = `[${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
    cell.append(" ", interval);
  }

  function fill() {
    if (!data.metrics.length) return;
    const { digits } = data.metrics[metric.value];
    for (const row of body.rows) {
      const cells = cellsOf(row);
      const counts = Object.values(cells).map((cell) => cell.n);
      row.cells[1].textContent = counts.length ? Math.max(...counts) : "–";
      const means = data.models.map((_, i) => tripleOf(cells[i])[0]);
      const best = Math.max(...means.filter((mean) => mean !== null));
      data.models.forEach((_, i) => {
        const cell = row.cells[i + first];
        show(cell, tripleOf(cells[i]), digits);
        cell.classList.toggle("best", data.models.length > 1 && means[i] !== null && means[i] === best);
      });
      if (first > 2) show(row.cells[2], [chanceOf(row), null, null], 2);
    }
    const sorted = heads.findIndex((head) => head.hasAttribute("aria-sort"));
    if (sorted > 0) sort(sorted, heads[sorted].getAttribute("aria-sort"));
  }

  function value(row, column) {
    if (column === 0) return Number(row.dataset.place);
    const found = column === 1 ? parseInt(row.cells[1].textContent, 10)
      : column < first ? chanceOf(row)
      : tripleOf(cellsOf(row)[column - first])[0];
    return found === null || Number.isNaN(found) ? null : found;
  }

  function sort(column, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    // What has no value is last, whichever way round.
    rows.sort(([a], [b]) => (a === null) - (b === null) || sign * (a - b));
    body.append(...rows.map(([, row]) => row));
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", direction);
    status.textContent = `Sorted by ${heads[column].textContent.trim()}, ${direction}`;
  }

  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    // Scores begin with the highest, the ROIs' own order with the first.
    const usual = column === 0 ? "ascending" : "descending";
    const other = column === 0 ? "descending" : "ascending";
    sort(column, head.getAttribute("aria-sort") === usual ? other : usual);
  }));
  [subject, hemisphere, metric].forEach((choice) => choice.addEventListener("change", fill));
  fill();
})();
