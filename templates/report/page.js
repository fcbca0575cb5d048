// The page's own script: draws the plots, and shows rows and texts fifty at a time. Everything that a model or a spec wrote
// goes in as text, never as HTML. Nothing is fetched.
"use strict";
(() => {
  const AT_ONCE = 50;
  const AT_MOST = 200; // characters of a text that stand for it in a line
  const read = (name) => JSON.parse(document.getElementById(`data-${name}`).textContent);

  // An element with its attributes and content; strings become text.
  function element(tag, attributes = {}, ...content) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...content.filter((part) => part !== null));
    return made;
  }
  const part = (title, ...content) => element("div", {}, element("dt", {}, title), element("dd", {}, ...content));
  const count = (number) => number.toLocaleString("en");
  const link = (place, query, text) => element("a", { href: `#${place}?${new URLSearchParams(query)}` }, text);

  // ---- plots ----

  function draw() {
    const figures = read("figures");
    const drawn = [...document.querySelectorAll("[data-figure]")];
    const settings = { displayModeBar: false, responsive: true };
    for (const place of drawn) {
      const { data, layout } = figures[place.dataset.figure];
      Plotly.newPlot(place, data, layout, settings).then(() => {
        place.style.minHeight = "";
        place.on("plotly_click", (event) => {
          const arm = event.points[0].customdata?.[0];
          if (place.dataset.figure.startsWith("forest-") && arm) {
            const name = place.dataset.figure.slice("forest-".length);
            location.hash = `rows?${new URLSearchParams({ when: "at the end", arm, eval: name })}`;
          }
        });
      });
    }
    // paper is narrower than most screens, and opens nothing
    addEventListener("beforeprint", () => {
      drawn.forEach((place) => Plotly.relayout(place, { width: 640 }));
      document.querySelectorAll("#plan details").forEach((details) => { details.open = true; });
    });
    addEventListener("afterprint", () => drawn.forEach((place) => Plotly.relayout(place, { width: null, autosize: true })));
  }

  // ---- tables of thousands of lines ----

  // `columns`: by the name of its filter the words, and the number or numbers of a line's word. `cells` gives a line's id, what stands for it and
  // its other cells, `more` what it opens to; `text` what is searched; `size` how many lines there are.
  class Explorer {
    constructor(name, size, columns, { cells, more, text, value }) {
      Object.assign(this, { name, columns, cells, more, text, value, start: 0 });
      this.every = Array.from({ length: size }, (_, number) => number);
      this.form = document.getElementById(`${name}-filters`);
      this.body = document.querySelector(`#${name}-lines tbody`);
      this.status = document.getElementById(`${name}-status`);
      this.back = document.getElementById(`${name}-back`);
      this.on = document.getElementById(`${name}-on`);
      for (const [key, column] of Object.entries(columns)) this.options(key, column);
      this.form.addEventListener("input", () => this.filter());
      this.form.addEventListener("submit", (event) => event.preventDefault());
      this.form.addEventListener("reset", () => setTimeout(() => this.filter()));
      this.back.addEventListener("click", () => this.turn(-AT_ONCE));
      this.on.addEventListener("click", () => this.turn(AT_ONCE));
      this.filter();
    }

    options(key, { words }) {
      const select = this.form.elements[key];
      const named = words.map((word, number) => [word, number]).filter(([word]) => word !== "");
      named.sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
      select.append(element("option", { value: "" }, "all"), ...named.map(([word, number]) => element("option", { value: number }, word)));
      select.parentElement.hidden = named.length < 2;
    }

    // Sets the filters by words; a word that there is none of shows nothing rather than everything. Several words of one filter,
    // as of the two models of a difference, are an option of their own while they are looked at.
    choose(query) {
      this.form.reset();
      this.form.querySelectorAll(".several").forEach((option) => option.remove());
      for (const key of new Set(query.keys())) {
        const field = this.form.elements[key], words = query.getAll(key);
        if (!field) continue;
        const value = this.columns[key] ? words.map((word) => this.columns[key].words.indexOf(word)).join() : words[0];
        if (words.length > 1) field.append(element("option", { value, class: "several" }, words.join(" or ")));
        field.value = value;
      }
      this.filter();
    }

    filter() {
      performance.mark("filter-began");
      const wanted = Object.entries(this.columns)
        .map(([key, { of }]) => [of, this.form.elements[key]])
        .filter(([, select]) => select.selectedIndex !== 0) // 0 is "all", -1 a word that is not there
        .map(([of, select]) => [of, select.selectedIndex < 0 ? [] : select.value.split(",").map(Number)]);
      const words = this.form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.shown = this.every.filter((line) =>
        wanted.every(([of, numbers]) => { const found = of(line); return Array.isArray(found) ? found.some((one) => numbers.includes(one)) : numbers.includes(found); }) &&
        (words.length === 0 || words.every((word) => this.searched(line).includes(word))));
      this.sort(this.form.elements.order?.value);
      this.start = 0;
      this.show();
      performance.measure("filter", "filter-began");
    }

    searched(line) {
      this.lower ??= [];
      return (this.lower[line] ??= this.text(line).toLowerCase());
    }

    sort(order) {
      if (!order) return;
      const side = order === "up" ? 1 : -1;
      const has = this.shown.filter((line) => this.value(line) !== null);
      has.sort((a, b) => side * (this.value(a) - this.value(b)));
      this.shown = [...has, ...this.shown.filter((line) => this.value(line) === null)];
    }

    turn(by) {
      this.start += by;
      this.show();
      this.body.querySelector(".open")?.focus();
    }

    show() {
      const end = Math.min(this.start + AT_ONCE, this.shown.length);
      this.body.replaceChildren(...this.shown.slice(this.start, end).map((line) => this.line(line)));
      const all = this.shown.length === this.every.length ? "" : ` that pass, of ${count(this.every.length)}`;
      this.status.textContent = this.shown.length === 0 ? `nothing passes these filters, of ${count(this.every.length)}` :
        `${count(this.start + 1)} to ${count(end)} of ${count(this.shown.length)}${all}`;
      this.back.disabled = this.start === 0;
      this.on.disabled = end === this.shown.length;
    }

    line(number) {
      const [id, title, ...others] = this.cells(number);
      const button = element("button", { type: "button", class: "open", "aria-expanded": "false" }, title || id);
      const row = element("tr", {}, element("th", { scope: "row" }, button, element("code", { class: "soft" }, id)), ...others);
      button.addEventListener("click", () => {
        const open = button.getAttribute("aria-expanded") === "true";
        button.setAttribute("aria-expanded", String(!open));
        if (open) row.nextElementSibling.remove();
        else row.after(element("tr", { class: "more" }, element("td", { colspan: row.children.length }, element("dl", {}, ...this.more(number)))));
      });
      return row;
    }
  }

  // ---- what a line opens to ----

  function command(id) {
    const line = `msmc trace ${id}`;
    const code = element("code", {}, line);
    const button = element("button", { type: "button" }, "copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(line);
        button.textContent = "copied";
      } catch { // a browser that does not let a file copy: the reader does, from the selection
        getSelection().selectAllChildren(code);
      }
    });
    return part("the row on the command line", element("span", { class: "command" }, code, button));
  }

  function clauses(numbers, words, places) {
    const entries = numbers.flatMap((number) => {
      const named = document.getElementById(`clause-${words[number]}`)
        ? element("a", { href: `#clause-${words[number]}` }, words[number]) : words[number];
      return [named, places[number] ? `  ${places[number]}` : "", "\n"];
    });
    return part("about", ...entries.slice(0, -1));
  }

  const turns = (messages) => messages.map((message) => element("div", { class: "turn" }, element("dt", {}, message.role),
    typeof message.content === "string" ? message.content : JSON.stringify(message.content, null, 1)));

  function judged(judge) {
    return (Array.isArray(judge) ? judge : [judge]).map((reply) => element("div", { class: "turn" }, typeof reply === "string" ? reply : JSON.stringify(reply, null, 1)));
  }

  // ---- rows ----

  function rows() {
    const { models, asked, lines, said, words, places } = read("rows");
    const arms = [...new Set(models.map((model) => model.arm))];
    const seeds = [...new Set(models.map((model) => String(model.seed)))];
    const arm = models.map((model) => arms.indexOf(model.arm));
    const seed = models.map((model) => seeds.indexOf(String(model.seed)));
    const when = (line) => words.when[lines.when[line]];
    const named = (line) => [models[lines.model[line]].arm, ...(seeds.length > 1 ? [`seed ${models[lines.model[line]].seed}`] : []),
      ...(when(line) === "at the end" ? [] : [when(line)])].join(" · ");
    const value = (line) => lines.value[line];
    const written = (line) => said[line] ?? {};
    const row = (line) => lines.row[line];
    const columns = {
      arm: { words: arms, of: (line) => arm[lines.model[line]] },
      seed: { words: seeds, of: (line) => seed[lines.model[line]] },
      when: { words: words.when, of: (line) => lines.when[line] },
      ...Object.fromEntries(["eval", "form", "topic", "value", "kind"].map((key) => [key, { words: words[key], of: (line) => asked[key][row(line)] }])),
      clause: { words: words.clause, of: (line) => asked.about[row(line)] },
      outcome: { words: words.outcome, of: (line) => lines.outcome[line] },
    };
    const choice = (line) => asked.order[row(line)] !== null; // of two answers: its score is a margin
    const score = (line) => value(line) === null ? "missing" : (choice(line) && value(line) > 0 ? "+" : "") + value(line).toFixed(2);

    function text(line) {
      const question = asked.question[row(line)];
      const { reply = "", choice: read = "", messages = [] } = written(line);
      return [asked.id[row(line)], question?.input ?? "", ...(question?.choices ?? []), reply, read, ...messages.map((m) => String(m.content)),
        words.topic[asked.topic[row(line)]], ...asked.about[row(line)].map((number) => words.clause[number])].join(" ");
    }

    const cells = (line) => [
      asked.id[row(line)],
      asked.question[row(line)]?.input ?? (written(line).messages ?? []).find((message) => message.role === "user")?.content,
      element("td", {}, named(line)),
      element("td", { class: "spare" }, words.topic[asked.topic[row(line)]]),
      element("td", { class: "spare" }, words.outcome[lines.outcome[line]]),
      element("td", { class: "num" }, score(line)),
    ];

    function more(line) {
      const question = asked.question[row(line)];
      const { reply, choice: read, messages, judge, measures } = written(line);
      const found = [];
      if (question) found.push(part("question", question.input));
      if (question?.choices) found.push(part("answers", ...question.choices.map((answer, number) =>
        element("div", number === question.target ? { class: "aligned" } : {}, `${"AB"[number] ?? number + 1}  ${answer}${number === question.target ? "   (aligned)" : ""}`))));
      if (messages) found.push(part("transcript", ...turns(messages)));
      if (reply !== undefined) found.push(part(`the model's own answer, read as ${read}`, reply));
      if (judge !== undefined && judge !== null) found.push(part("judge", ...judged(judge)));
      const figures = Object.entries(measures ?? {}).map(([name, figure]) => `, ${name} ${figure}`).join("");
      const reason = lines.reason[line] < 0 ? "" : `: ${words.reason[lines.reason[line]]}`;
      const how = choice(line) ? `, option order ${asked.order[row(line)] + 1} of 2` : "";
      found.push(part("score", `${score(line)}${reason}${figures}, ${words.outcome[lines.outcome[line]]}, of ${named(line)}${how}`));
      found.push(part("the same row for all models", link("rows", { text: asked.id[row(line)] }, asked.id[row(line)])));
      if (asked.about[row(line)].length) found.push(clauses(asked.about[row(line)], words.clause, places));
      found.push(command(asked.id[row(line)]));
      return found;
    }

    return new Explorer("rows", lines.row.length, columns, { cells, more, text, value });
  }

  // ---- documents and demos ----

  function texts() {
    const { columns: all, words, said, places } = read("texts");
    const columns = Object.fromEntries(["source", "what", "clause"].map((name) => [name, { words: words[name], of: (line) => all[name][line] }]));
    const plain = (line) => said[line]?.text ?? (said[line]?.messages ?? []).map((message) => message.content).join("\n");
    const text = (line) => [all.id[line], words.clause[all.clause[line]], words.cell[all.cell[line]], plain(line)].join(" ");
    const cells = (line) => [
      all.id[line],
      plain(line).slice(0, AT_MOST),
      element("td", {}, words.source[all.source[line]]),
      element("td", { class: "spare" }, words.clause[all.clause[line]]),
      element("td", { class: "spare" }, words.cell[all.cell[line]]),
    ];
    const more = (line) => [
      said[line]?.messages ? part("chat", ...turns(said[line].messages)) :
        said[line] ? part(words.what[all.what[line]], said[line].text) : part("text", "not on this page: the command shows it"),
      part("how", words.cell[all.cell[line]]),
      ...(words.clause[all.clause[line]] ? [clauses([all.clause[line]], words.clause, places)] : []),
      command(all.id[line]),
    ];
    return new Explorer("texts", all.id.length, columns, { cells, more, text, value: () => null });
  }

  // ---- the page ----

  const explorers = { rows: rows(), ...(document.getElementById("texts") ? { texts: texts() } : {}) };

  // `#rows?arm=full&eval=far`: what a figure's link says; `#clause-…` opens it
  function follow() {
    const [name, query] = location.hash.slice(1).split("?");
    const clause = name.startsWith("clause-") && document.getElementById(decodeURIComponent(name));
    if (clause) {
      clause.open = true;
      clause.scrollIntoView();
      clause.querySelector("summary").focus({ preventScroll: true });
    }
    if (query === undefined || !explorers[name]) return;
    explorers[name].choose(new URLSearchParams(query));
    document.getElementById(name).scrollIntoView();
    document.getElementById(name).focus({ preventScroll: true });
  }
  addEventListener("hashchange", follow);
  draw();
  follow();
})();
