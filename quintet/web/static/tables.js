/* Lets a reader sort a table by any column, keeps the order in the address, and says where a table scrolls. */

export function makeSortable(table, place) {
  const id = nameOf(table, place);
  const cells = [...table.tHead.rows[0].cells];
  for (const [column, cell] of cells.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      const direction = next(cell);
      sort(table, cell, column, direction);
      remember(id, column, direction);
    });
  }
  const kept = sorts().find((one) => one.startsWith(`${id}.`))?.match(/\.(\d+)\.(ascending|descending)$/);
  if (kept && cells[kept[1]]) sort(table, cells[kept[1]], Number(kept[1]), kept[2]);
}

/* Numbers are sorted as numbers; missing values are always last. */
function sort(table, cell, place, direction) {
  for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(one.cells[place].dataset.value, other.cells[place].dataset.value, sign));
  table.tBodies[0].append(...rows);
}

/* The first sort shows the largest figures, or the first names. */
function next(cell) {
  const first = cell.classList.contains("figure-cell") ? "descending" : "ascending";
  if (cell.getAttribute("aria-sort") !== first) return first;
  return first === "descending" ? "ascending" : "descending";
}

function compare(one, other, sign) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const numbers = [Number(one), Number(other)];
  return sign * (numbers.some(Number.isNaN) ? one.localeCompare(other, "en") : numbers[0] - numbers[1]);
}

function nameOf(table, place) {
  const around = table.closest("figure[id], section[aria-labelledby]");
  return around?.id || around?.getAttribute("aria-labelledby") || `table-${place}`;
}

function sorts() {
  return new URLSearchParams(location.search).getAll("sort");
}

function remember(id, column, direction) {
  const address = new URL(location.href);
  const others = sorts().filter((one) => !one.startsWith(`${id}.`));
  address.searchParams.delete("sort");
  for (const one of [...others, `${id}.${column}.${direction}`]) address.searchParams.append("sort", one);
  history.replaceState(null, "", address);
}

const widths = new ResizeObserver((entries) => entries.forEach(({ target }) => sayWhetherItScrolls(target)));

/* A table that is wider than its place says so in words. */
export function watchWidths(region) {
  region.querySelectorAll(".table-scroll").forEach((scroll) => widths.observe(scroll));
}

function sayWhetherItScrolls(scroll) {
  const scrolls = scroll.scrollWidth > scroll.clientWidth + 1;
  const old = scroll.previousElementSibling?.matches(".scroll-note") ? scroll.previousElementSibling : undefined;
  if (scrolls && !old) {
    const note = document.createElement("p");
    note.className = "note scroll-note";
    note.textContent = "More columns to the right: scroll the table sideways.";
    scroll.before(note);
  } else if (!scrolls) old?.remove();
}
