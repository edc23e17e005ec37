// Only adds to a page that is whole without it: hovering, sorting, filtering.
"use strict";
(() => {
  const make = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text) node.textContent = text;
    return node;
  };

  // Hovering: the browser's own slow tooltips become one that follows the pointer.
  const tip = make("div", "tip");
  tip.setAttribute("aria-hidden", "true");
  tip.hidden = true;
  document.body.append(tip);
  for (const svg of document.querySelectorAll("svg.chart")) {
    const title = svg.querySelector(":scope > title");
    if (title) {
      svg.setAttribute("aria-label", title.textContent);
      svg.setAttribute("aria-describedby", `${svg.getAttribute("aria-labelledby").split(" ")[1]}`);
      svg.removeAttribute("aria-labelledby");
      title.remove();
    }
    for (const mark of svg.querySelectorAll("g.mark")) {
      const words = mark.querySelector(":scope > title");
      if (!words) continue;
      mark.dataset.tip = words.textContent;
      words.remove();
    }
    svg.addEventListener("pointermove", (event) => {
      const mark = event.target.closest("g.mark");
      tip.hidden = !mark;
      if (!mark) return;
      tip.textContent = mark.dataset.tip;
      const { width, height } = tip.getBoundingClientRect();
      const x = Math.min(Math.max(8, event.clientX - width / 2), document.documentElement.clientWidth - width - 8);
      const above = event.clientY - height - 14;
      tip.style.left = `${x}px`;
      tip.style.top = `${above > 4 ? above : event.clientY + 18}px`;
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  }

  // Sorting: a click on a head sorts, another turns the order round.
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell ? cell.dataset.sort ?? cell.firstChild?.textContent.trim() ?? "" : "";
    const plain = text.replace(/[,\s\u00a0%]/g, "").replace("−", "-");
    return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : text;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b
      : typeof a === typeof b ? String(a).localeCompare(String(b)) : typeof a === "number" ? -1 : 1;
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 3) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = make("button", "sort");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => [key(row, column), row]);
        rows.sort((a, b) => (down ? -1 : 1) * compare(a[0], b[0]));
        body.append(...rows.map((pair) => pair[1]));
      });
    });
  }

  // Filtering: long tables of columns get a field to search in.
  for (const table of document.querySelectorAll("table.filterable")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 9) continue;
    const box = make("label", "filter", "Find a column ");
    const field = make("input");
    field.type = "search";
    const count = make("span", "quiet");
    count.setAttribute("role", "status");
    box.append(field, count);
    table.closest(".scroll").before(box);
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      let left = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        left += row.hidden ? 0 : 1;
      }
      count.textContent = wanted ? ` ${left} of ${rows.length}` : "";
    });
  }
})();
