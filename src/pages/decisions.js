"use strict";
// Shows decisions as they happen. Without it the page says the same when it is loaded again.
(() => {
  const rows = document.querySelector("tbody[data-next]");
  const said = document.getElementById("live");
  if (!rows || !said) return;
  const PACE = 2000;
  const MOST = 500;
  let newest = Number(rows.dataset.newest);

  const cell = (label, text, wrap) => {
    const made = document.createElement("td");
    made.dataset.label = label;
    const holder = wrap ? made.appendChild(wrap) : made;
    holder.textContent = text;
    return made;
  };
  const element = (name, className, attributes = {}) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const row = (one) => {
    const made = document.createElement("tr");
    const what = cell("What", one.what);
    if (one.notes) {
      const notes = element("span", "more");
      notes.textContent = one.notes;
      what.append(notes);
    }
    made.append(
      cell("Time", one.time[0], element("time", "", { datetime: one.time[1] })),
      cell("Outcome", one.outcome, element("span", `outcome ${one.outcome}`)),
      what,
      cell("By whom", one.user),
      cell("Rules", one.rules),
    );
    return made;
  };
  const look = async () => {
    try {
      if (document.hidden) return;
      const address = new URL(rows.dataset.next, location.href);
      address.searchParams.set("after", newest);
      const answer = await fetch(address, { redirect: "error" });
      if (!answer.ok) throw new Error(answer.status);
      const decided = await answer.json();
      if (decided.rows.length > 0) {
        // What lies between is not there: what is shown is whole, or says that it is not.
        if (newest === 0 || decided.more) rows.replaceChildren();
        newest = decided.rows[0].number;
        rows.prepend(...decided.rows.map(row));
        while (rows.children.length > MOST) rows.lastElementChild.remove();
        said.textContent = decided.more ? LEFT_OUT : `${decided.rows.length} new.`;
      } else if (said.textContent === AWAY) {
        said.textContent = "";
      }
    } catch {
      said.textContent = AWAY;
    } finally {
      setTimeout(look, PACE);
    }
  };
  const LEFT_OUT = "Many are new; only the newest are shown. Load the page again to go back to the others.";
  const AWAY = "New decisions cannot be shown now; load the page again.";
  setTimeout(look, PACE);
})();
