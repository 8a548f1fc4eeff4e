// Many small buttons as one stop of the Tab key: arrow keys move among them, Enter and Space choose.
// (The "roving tabindex" of the WAI-ARIA Authoring Practices.)

const all = (container) => [...container.querySelectorAll("button:not(:disabled), [role=button]")];

/** Make a container rove. Its items may come and go; call `items` when they have. */
export function rove(container) {
  container.dataset.roving = "";
  container.addEventListener("keydown", (event) => {
    const here = all(container).indexOf(document.activeElement);
    if (here < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    if ((event.key === "Enter" || event.key === " ") && document.activeElement.matches("[role=button]")) {
      document.activeElement.click();
    } else {
      const goal = target(all(container), here, event.key);
      if (!goal) return;
      goal.focus();
    }
    event.preventDefault();
  });
  container.addEventListener("focusin", (event) => {
    if (all(container).includes(event.target)) stop(container, event.target);
  });
  items(container);
}

/** Let the Tab key find one of the items, the one that it found before if it is still there. */
export function items(container) {
  const present = all(container);
  stop(container, present.find((item) => item.dataset.stop !== undefined) || present[0]);
}

function stop(container, chosen) {
  for (const item of all(container)) {
    item.tabIndex = item === chosen ? 0 : -1;
    if (item === chosen) item.dataset.stop = "";
    else delete item.dataset.stop;
  }
}

function target(present, here, key) {
  const row = (item) => item.closest("li");
  switch (key) {
    case "ArrowRight":
      return present[here + 1];
    case "ArrowLeft":
      return present[here - 1];
    case "ArrowDown":
      return present.slice(here).find((item) => row(item) !== row(present[here]));
    case "ArrowUp": {
      const above = present.slice(0, here).findLast((item) => row(item) !== row(present[here]));
      return above && present.find((item) => row(item) === row(above));
    }
    case "Home":
      return present[0];
    case "End":
      return present.at(-1);
    default:
      return undefined;
  }
}
