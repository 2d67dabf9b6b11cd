"use strict";
// Sorting by any column and searching in the table of findings. The page is whole without it.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const value = (row, at) => row.cells[at].dataset.value ?? row.cells[at].textContent.trim();
  const compare = (a, b, sign) => {
    if (a === "" || b === "") return (a === "") - (b === ""); // what is undefined comes last either way
    return sign * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
  };
  table.tHead.querySelectorAll("button").forEach((button) => {
    button.disabled = false;
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const rising = head.getAttribute("aria-sort") !== "ascending";
      table.tHead.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const at = head.cellIndex;
      body.append(...[...rows].sort((a, b) => compare(value(a, at), value(b, at), rising ? 1 : -1)));
    });
  });
  const search = document.querySelector(`input[data-table="${table.id}"]`);
  const count = document.querySelector(`output[for="${search.id}"]`);
  search.closest(".search").hidden = false;
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.dataset.words;
      row.hidden = !words.every((word) => text.includes(word));
    }
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} findings`;
  });
}
