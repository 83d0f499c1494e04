/* Lets a reader sort a table by any column: numbers as numbers, missing values always last. */

export function makeSortable(table) {
  for (const [place, cell] of [...table.tHead.rows[0].cells].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => sort(table, cell, place));
  }
}

function sort(table, cell, place) {
  const isFigure = cell.classList.contains("figure-cell");
  const was = cell.getAttribute("aria-sort");
  /* The first sort shows the largest figures, or the first names. */
  const direction = was === (isFigure ? "descending" : "ascending")
    ? (isFigure ? "ascending" : "descending")
    : (isFigure ? "descending" : "ascending");
  for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(one.cells[place].dataset.value, other.cells[place].dataset.value, sign));
  table.tBodies[0].append(...rows);
}

function compare(one, other, sign) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const numbers = [Number(one), Number(other)];
  return sign * (numbers.some(Number.isNaN) ? one.localeCompare(other, "en") : numbers[0] - numbers[1]);
}
