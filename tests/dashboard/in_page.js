// Runs in each page before its own scripts: says what the browser's tests ask of a page.
"use strict";
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) => {
  console.error(`the policy was violated: ${violatedDirective} ${blockedURI} ${sourceFile}`);
});
globalThis.inPage = {
  /** Elements that reach beyond the window's width, where the page scrolls sideways. */
  wide() {
    const { clientWidth: width, scrollWidth } = document.documentElement;
    if (scrollWidth <= width) return [];
    return [...document.body.querySelectorAll("*")].filter((element) =>
      !element.closest(".scroll > *") && element.getBoundingClientRect().right > width + 1
    ).map((element) => element.outerHTML.slice(0, 120));
  },
  /** What has the focus: its name, the width of its outline in pixels, and whether it is inside the window. */
  focused() {
    const element = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(element);
    const { top, left, bottom, right } = element.getBoundingClientRect();
    const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ??
      element.textContent;
    return {
      name: name.trim(),
      outline: outlineStyle === "none" ? 0 : parseFloat(outlineWidth),
      seen: bottom > 0 && right > 0 && top < innerHeight && left < innerWidth,
    };
  },
  /** After how many ms something was seen first; undefined before that. */
  seen() {
    return performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
  },
  /** Resolves when the page does not fetch itself again, after ten seconds in any case. */
  async settled() {
    const end = performance.now() + 10_000, busy = ".htmx-request, .htmx-swapping, .htmx-settling";
    while (document.querySelector(busy) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  /** What axe finds, a line for each kind of trouble and element. */
  async findings(options) {
    const { violations } = await axe.run(document, { resultTypes: ["violations"], ...options });
    return violations.flatMap(({ id, nodes }) =>
      nodes.slice(0, 3).map(({ html, any }) =>
        [id, html.slice(0, 200), ...any.map(({ message }) => message)].join(": ")
      )
    );
  },
};
