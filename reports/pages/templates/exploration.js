"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const { columns, rows } = read("points");
  const style = read("look");
  const views = new Map();
  const front = rows.filter((row) => row.state === "front").map((row) => row.id);

  // Of every column, where a value lies between its least (0) and its greatest (1).
  const scales = columns.map((column) => {
    const values = column.values.length ? column.values : rows.map((row) => row[column.key]).filter((value) => value !== null);
    const ends = column.values.length ? [0, column.values.length - 1] : [Math.min(...values), Math.max(...values)];
    const place = (value) => (column.values.length ? column.values.indexOf(value) : value);
    const share = (value) => (ends[1] > ends[0] ? (place(value) - ends[0]) / (ends[1] - ends[0]) : 0.5);
    return { column, ends, share, isKnown: values.length > 0 };
  }).filter((scale) => scale.isKnown);
  const isThere = (value) => value !== null && value !== undefined;
  const shortened = (value) => (Math.abs(value) >= 1e5
    ? Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(value)
    : Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(value));

  function datasets(name) {
    if (name !== "parallel") return { points: rows, own: read("rows-" + name) };
    const lines = rows.flatMap((row) => scales.filter(({ column }) => isThere(row[column.key])).map(({ column, share }) => ({
      id: row.id, state: row.state, key: column.label, share: share(row[column.key]),
    })));
    const ends = scales.flatMap(({ column, ends }) => (ends[0] === ends[1] ? [ends[0]] : ends).map((end, index, all) => ({
      key: column.label,
      share: all.length === 1 ? 0.5 : index,
      label: column.values.length ? column.values[end] : shortened(end),
    })));
    return { lines, ends };
  }

  // Of the ids in the box that was drawn in a chart; null where there is none.
  function inside(name, box) {
    const fields = Object.keys(box || {});
    if (!fields.length) return null;
    const within = (value, limits) => (typeof limits[0] === "number" && typeof value === "number" && limits.length === 2
      ? value >= Math.min(...limits) && value <= Math.max(...limits) : limits.includes(value));
    if (name !== "parallel") {
      return rows.filter((row) => fields.every((field) => within(row[field], box[field]))).map((row) => row.id);
    }
    const crossed = scales.filter(({ column }) => !box.key || box.key.includes(column.label));
    return rows.filter((row) => crossed.every(({ column, share }) => isThere(row[column.key])
      && within(share(row[column.key]), box.share))).map((row) => row.id);
  }

  const isLinked = (name) => name.startsWith("front") || name === "parallel";
  const marked = document.getElementById("marked");
  let last = null;
  // A chart that says what was marked has not ended its own run yet: all are told after it.
  function mark(ids) {
    if (last === null) requestAnimationFrame(() => { show(last.ids); last = null; });
    last = { ids };
  }
  function show(ids) {
    for (const [name, view] of views) if (isLinked(name)) view.signal("chosen", ids).runAsync();
    for (const row of document.querySelectorAll("#designs tbody tr")) {
      const isMarked = ids !== null && ids.includes(front[Number(row.dataset.design)]);
      row.classList.toggle("marked", isMarked);
      row.querySelector("button").setAttribute("aria-pressed", isMarked);
    }
    const count = ids === null ? 0 : front.filter((id) => ids.includes(id)).length;
    const said = ids && (ids.length === 1 ? "1 point is marked" : `${ids.length} points are marked`);
    marked.textContent = ids === null ? "No points are marked." : `${said}, ${count} of them on the front.`;
  }
  // Their charts say at once that nothing is marked any more: what is marked instead must be told after it.
  function clearBoxes() {
    for (const [name, view] of views) if (isLinked(name)) view.signal("brush_x", []).signal("brush_y", []).runAsync();
  }
  document.getElementById("clear").addEventListener("click", () => {
    clearBoxes();
    mark(null);
  });

  for (const place of document.querySelectorAll(".chart")) {
    const name = place.id.replace("chart-", "");
    const bare = read("spec-" + name);
    const spec = { ...bare, datasets: { ...bare.datasets, ...datasets(name) } };
    window.vegaEmbed(place, spec, { mode: "vega-lite", actions: false, renderer: "svg", config: style }).then(({ view }) => {
      views.set(name, view);
      // The element around it says what it shows; its marks have no names of their own.
      place.querySelector("svg").setAttribute("aria-hidden", "true");
      if (isLinked(name)) view.addSignalListener("brush", (_, box) => mark(inside(name, box)));
    });
  }

  const table = document.getElementById("designs");
  if (!table) return;
  for (const row of table.tBodies[0].rows) {
    const button = row.querySelector("button");
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      const pressed = [...table.tBodies[0].rows].filter((each) => each.querySelector("button").getAttribute("aria-pressed") === "true");
      clearBoxes();
      mark(pressed.length ? pressed.map((each) => front[Number(each.dataset.design)]) : null);
    });
  }
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, index) => head.querySelector("button").addEventListener("click", () => {
    const isAscending = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
    const body = table.tBodies[0];
    const value = (row) => row.cells[index].dataset.value;
    const order = (one, other) => (Number.isNaN(Number(value(one))) || Number.isNaN(Number(value(other)))
      ? value(one).localeCompare(value(other)) : Number(value(one)) - Number(value(other)));
    body.append(...[...body.rows].sort((one, other) => (isAscending ? order(one, other) : order(other, one))));
  }));
  document.getElementById("copy").addEventListener("click", async () => {
    const texts = [heads.map((head) => head.querySelector("button").title || head.innerText.trim())];
    for (const row of table.tBodies[0].rows) texts.push([...row.cells].map((cell) => cell.dataset.value));
    const text = texts.map((cells) => cells.join("\t")).join("\n");
    const told = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    told.textContent = `${table.tBodies[0].rows.length} rows are copied, with tabs between cells.`;
  });
})();
