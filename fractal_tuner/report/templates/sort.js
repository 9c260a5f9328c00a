"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => {
        const text = row.cells[column].textContent.trim();
        const number = Number(text.replaceAll(",", ""));
        return { row, text, number, rank: text === "" ? 2 : Number.isNaN(number) ? 1 : 0 };
      });
      const sign = falling ? -1 : 1;
      rows.sort((a, b) => a.rank - b.rank || sign * (
        a.rank === 0 ? a.number - b.number : a.text.localeCompare(b.text)
      ));
      body.append(...rows.map((entry) => entry.row));
    });
  });
}
