"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const make = (tag, text, attributes = {}) => {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = String(text);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const json = (id) => JSON.parse(byId(id).textContent || "null");
  const kept = (key, value) => {
    try {
      const own = `${location.pathname} ${key}`; // pages of other studies in the same tab have theirs
      if (value === undefined) return sessionStorage.getItem(own);
      sessionStorage.setItem(own, value);
    } catch { /* a browser that keeps nothing */ }
    return null;
  };
  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === null || a === "") return 1;
    if (b === null || b === "") return -1;
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  const turn = (heading) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    return down ? -1 : 1;
  };

  // tables of grid points
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const value = (row, column) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent.replace("–", "") : Number(cell.dataset.value);
    };
    table.tHead.addEventListener("click", (event) => {
      const heading = event.target.closest("th");
      if (!heading) return;
      const sign = turn(heading), column = heading.cellIndex;
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        return x === "" || y === "" ? compare(x, y) : sign * compare(x, y);
      });
      body.append(...rows);
    });
    const filter = document.querySelector(`[data-filter="${table.id}"]`);
    const count = document.querySelector(`[data-count="${table.id}"]`);
    const all = document.querySelector(`[data-all="${table.id}"]`);
    const show = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${body.rows.length} rows`;
      table.classList.toggle("all", all.checked);
      kept(`filter ${table.id}`, filter.value);
      kept(`all ${table.id}`, all.checked ? "1" : "");
    };
    filter.value = kept(`filter ${table.id}`) || "";
    all.checked = Boolean(kept(`all ${table.id}`));
    filter.addEventListener("input", show);
    all.addEventListener("change", show);
    show();
  }

  // box for a figure or a run
  const box = byId("box");
  const open = (title, ...content) => {
    byId("box-title").textContent = title;
    byId("box-body").replaceChildren(...content);
    if (!box.open) box.showModal();
    byId("box-body").scrollTop = 0;
  };
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  box.addEventListener("close", () => { if (location.hash.startsWith("#run=")) history.replaceState(null, "", "#runs"); });
  for (const button of document.querySelectorAll(".zoom")) {
    button.addEventListener("click", () => {
      const image = button.firstElementChild.cloneNode();
      image.addEventListener("click", () => image.classList.toggle("large"));
      open(button.parentNode.querySelector("code").textContent, image, make("p", image.alt));
    });
  }

  addEventListener("beforeprint", () => { // paper cannot be unfolded
    for (const folded of document.querySelectorAll("#verdict details")) folded.open = true;
  });

  // runs
  const runs = json("run-rows");
  if (runs) {
    const table = byId("run-table"), head = table.tHead.rows[0], body = table.tBodies[0], filter = byId("run-filter");
    let order = runs.rows.map((_, i) => i), shown = 200, texts = null;
    const text = (i) => {
      texts = texts || runs.rows.map((row) => row.map((value, j) => (runs.columns[j] === "seed" ? `seed ${value}` : value)).join(" ").toLowerCase());
      return texts[i];
    };
    const draw = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = words.length ? order.filter((i) => words.every((word) => text(i).includes(word))) : order;
      body.replaceChildren(...found.slice(0, shown).map((i) => {
        const line = make("tr");
        runs.rows[i].forEach((value, j) => {
          const cell = make("td", j ? (typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(4) : value) : null, typeof value === "number" ? { class: "number" } : {});
          if (!j) cell.append(make("a", value, { href: `#run=${i}` }));
          line.append(cell);
        });
        return line;
      }));
      byId("run-count").textContent = `${found.length} of ${runs.rows.length} runs`;
      byId("run-more").hidden = found.length <= shown;
    };
    runs.columns.forEach((name, j) => {
      const heading = make("th", null, { scope: "col", ...(runs.rows.some((row) => typeof row[j] === "number") ? { class: "number" } : {}) });
      heading.append(make("button", name, { type: "button" }));
      heading.addEventListener("click", () => {
        const sign = turn(heading);
        order.sort((a, b) => {
          const [x, y] = [runs.rows[a][j], runs.rows[b][j]];
          return x === null || y === null ? compare(x, y) : sign * compare(x, y);
        });
        draw();
      });
      head.append(heading);
    });
    filter.value = kept("filter runs") || "";
    filter.addEventListener("input", () => { kept("filter runs", filter.value); shown = 200; draw(); });
    byId("run-more").addEventListener("click", () => { shown += 500; draw(); });
    draw();

    let details = null;
    const pairs = (values) => {
      const table = make("table"), body = make("tbody");
      for (const [name, value] of Object.entries(values)) {
        const row = make("tr");
        row.append(make("th", name, { scope: "row" }), make("td", typeof value === "object" ? JSON.stringify(value) : value));
        body.append(row);
      }
      table.append(body);
      return table;
    };
    const drawing = "http://www.w3.org/2000/svg";
    const curves = ({ names, values }) => {
      const panels = new Map(), epochs = values[names.indexOf("epoch")];
      names.forEach((name, i) => {
        const [, split, term] = name.match(/^(train|test)_(.*)$/) || [null, "test", name];
        if (name !== "epoch") panels.set(term, [...(panels.get(term) || []), [split, values[i]]]);
      });
      const grid = make("div", null, { class: "curves" });
      for (const [term, lines] of panels) {
        const seen = lines.flatMap(([, line]) => line).filter((value) => value !== null);
        if (!seen.length) continue;
        const low = Math.min(...seen), high = Math.max(...seen), last = epochs.at(-1) || 1;
        const picture = document.createElementNS(drawing, "svg");
        picture.setAttribute("viewBox", "0 0 100 100");
        picture.setAttribute("preserveAspectRatio", "none");
        picture.setAttribute("role", "img");
        picture.setAttribute("aria-label", `${term} from epoch ${epochs[0]} to ${last}, between ${low} and ${high}`);
        for (const [split, line] of lines) {
          const points = line.map((value, i) => value === null ? null : `${100 * epochs[i] / last},${high > low ? 100 - 100 * (value - low) / (high - low) : 50}`);
          const polyline = document.createElementNS(drawing, "polyline");
          polyline.setAttribute("points", points.filter(Boolean).join(" "));
          polyline.setAttribute("class", split);
          picture.append(polyline);
        }
        const figure = make("figure");
        figure.append(make("figcaption", `${term}: ${low} to ${high}`), picture);
        grid.append(figure);
      }
      return grid;
    };
    const page = (i) => {
      details = details || json("run-details");
      const row = runs.rows[i], found = details.pages[runs.labels[i]], content = [];
      const add = (title, element) => content.push(make("h3", title), element);
      const command = details.commands[runs.points[i]];
      content.push(pairs(Object.fromEntries(runs.columns.map((name, j) => [name, row[j] ?? "–"]))));
      if (command) add("This run again", make("pre", command + runs.seeds[i]));
      if (found && found.failure) {
        if (found.failure.traceback) add("Traceback", make("pre", found.failure.traceback));
        const { traceback, ...rest } = found.failure;
        add("Failure", pairs(rest));
      }
      if (found && found.history) add("History (train: dashed)", curves(found.history));
      if (found && found.log) add("End of its log", make("pre", found.log));
      if (found && found.missing && Object.keys(found.missing).length) add("Numbers that are missing", pairs(found.missing));
      add("Settings", pairs(details.configs[runs.points[i]] || {}));
      if (found && found.timing) add("Time and memory", pairs(found.timing));
      if (found && found.provenance !== undefined) add("Provenance", pairs(JSON.parse(details.shared[found.provenance])));
      if (found) content.push(make("p", `Files: ${found.folder}`));
      open(`Run ${row[0]}`, ...content);
    };
    const go = () => {
      const i = Number((location.hash.match(/^#run=(\d+)$/) || [])[1]);
      if (i in runs.rows) page(i);
      else box.close(); // the browser's way back
    };
    addEventListener("hashchange", go);
    go();
  }

  // loaded again, by hand or for a newer page: as it was left
  const fields = (section) => [...section.querySelectorAll("a, button, input, summary, [tabindex]")];
  const folds = () => [...document.querySelectorAll("details")].map((fold) => [fold, `${fold.closest("article")?.firstElementChild.textContent} ${fold.firstElementChild.textContent}`]);
  const anew = performance.getEntriesByType("navigation")[0]?.type === "navigate";
  const left = JSON.parse((!anew && kept("left")) || "{}");
  for (const [table, name, order] of left.sorted || []) {
    const heading = [...(byId(table)?.tHead.rows[0].cells || [])].find((cell) => cell.textContent === name);
    for (let clicks = order === "ascending" ? 1 : 2; heading && clicks; clicks--) heading.click();
  }
  for (const [fold, name] of folds()) fold.open = left.folds?.[name] ?? fold.open;
  if (left.focus) {
    const [section, i] = left.focus, field = byId(section) && fields(byId(section))[i];
    field?.focus({ preventScroll: true });
    if (field?.type === "search") field.setSelectionRange(field.value.length, field.value.length);
  }
  addEventListener("pagehide", () => {
    const focus = document.activeElement, section = focus.closest("section");
    kept("left", JSON.stringify({
      sorted: [...document.querySelectorAll("th[aria-sort]")].map((th) => [th.closest("table").id, th.textContent, th.ariaSort]),
      folds: Object.fromEntries(folds().map(([fold, name]) => [name, fold.open])),
      focus: section && [section.id, fields(section).indexOf(focus)],
    }));
  });

  // served: look for a newer page
  const live = document.body.dataset.live;
  if (live) {
    const look = async () => {
      try {
        const answer = await fetch("version", { cache: "no-store" });
        if (answer.ok && (await answer.text()) !== live && !box.open) location.reload();
      } catch { /* the server has ended: the page stays as it is */ }
    };
    setInterval(look, 3000);
  }
})();
