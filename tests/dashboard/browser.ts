/** Debian's Chromium with one page of the dashboard, and what goes wrong on it: the console's errors, the policy, and axe. */
import assert from "node:assert/strict";
import axe from "axe-core";
import inPage from "./in_page.js" with { type: "text" };
import { type Browser, type CDPSession, chromium, type Page } from "playwright-core";

const path = "/usr/bin/chromium";

/** False where tests/install_peers.sh could not install it. */
export const hasChromium = await Deno.stat(path).then(() => true, () => false);

/** A screen, and a phone. */
export const SCREEN = { width: 1200, height: 800 }, PHONE = { width: 360, height: 740 };

export class PageInBrowser implements AsyncDisposable {
  /** What went wrong since they were last asked for. */
  #errors: string[] = [];

  private constructor(
    private readonly browser: Browser,
    readonly page: Page,
    /** Speaks Chrome's DevTools Protocol about the page. */
    readonly devtools: CDPSession,
    private readonly base: string,
  ) {
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.#errors.push(message.text());
    });
    page.on("pageerror", (error) => this.#errors.push(String(error)));
    page.on("requestfailed", (request) => {
      // The stream of events ends when its page is left, and what a new page has replaced is given up.
      const why = request.failure()?.errorText ?? "";
      if (why !== "net::ERR_ABORTED") this.#errors.push(`${request.url()}: ${why}`);
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(base)) this.#errors.push(`${request.url()} is asked for`);
    });
  }

  static async open(base: string): Promise<PageInBrowser> {
    const browser = await chromium.launch({
      executablePath: path,
      args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"],
      timeout: 120_000,
      // This process ends by its own rules, and the browser when the pipe to this process does.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
    });
    const page = await browser.newPage({ viewport: SCREEN, colorScheme: "light", reducedMotion: "reduce" });
    page.setDefaultTimeout(60_000);
    await page.addInitScript({ content: inPage });
    return new PageInBrowser(browser, page, await page.context().newCDPSession(page), base);
  }

  async go(path: string): Promise<void> {
    await this.page.goto(this.base + path);
  }

  /** Path and query of where the page is. */
  get path(): string {
    return this.page.url().slice(this.base.length);
  }

  /** Makes the line to the page as slow as what Chrome's own tools call "Slow 3G", without what was kept of it; or fast again. */
  async slow(isSlow = true): Promise<void> {
    const [latency, throughput] = isSlow ? [2000, 50_000] : [0, -1];
    await this.devtools.send("Network.enable");
    await this.devtools.send("Network.setCacheDisabled", { cacheDisabled: isSlow });
    await this.devtools.send("Network.emulateNetworkConditions", {
      offline: false,
      latency,
      downloadThroughput: throughput,
      uploadThroughput: throughput,
    });
  }

  /** Asserts that nothing went wrong. @param but What may have. */
  clean(where: string, but = /^$/): void {
    const errors = this.#errors.filter((error) => !but.test(error));
    this.#errors = [];
    assert.deepEqual(errors, [], where);
  }

  /** Asserts that axe finds nothing: everything in light, and in dark what colours change. */
  async accessible(where: string): Promise<void> {
    if (!await this.page.evaluate("'axe' in window")) await this.page.evaluate(axe.source);
    let found = await this.#inBoth();
    // The page may have fetched itself again meanwhile, and axe looked at a part that is gone. A fault is found twice.
    if (found.all.length || found.dark.length) {
      await this.page.evaluate("inPage.settled()");
      found = await this.#inBoth();
    }
    assert.deepEqual(found, { all: [], dark: [] }, where);
  }

  async #inBoth(): Promise<{ all: string[]; dark: string[] }> {
    const all = await this.#findings("{}");
    await this.page.emulateMedia({ colorScheme: "dark" });
    const dark = await this.#findings("{ runOnly: ['color-contrast', 'link-in-text-block'] }");
    await this.page.emulateMedia({ colorScheme: "light" });
    return { all, dark };
  }

  #findings(options: string): Promise<string[]> {
    return this.page.evaluate(`inPage.findings(${options})`);
  }

  /** Asserts that nothing is wider than the window, so that the page does not scroll sideways. */
  async fits(where: string): Promise<void> {
    const wide = await this.page.evaluate("inPage.wide()");
    assert.deepEqual(wide, [], where);
  }

  /** What has the focus, as a reader sees it; asserts that it is seen. */
  async focused(): Promise<string> {
    const { name, outline, seen } = await this.page.evaluate<
      { name: string; outline: number; seen: boolean }
    >(
      "inPage.focused()",
    );
    assert.ok(
      outline >= 2 && seen,
      `${name} has the focus, and is not seen to have it: ${outline} px, ${seen}`,
    );
    return name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close();
  }
}
