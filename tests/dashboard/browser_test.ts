/** The dashboard in a browser, as a person uses it: by mouse and by keyboard, on a phone, over a slow line, while things fail. */
import assert from "node:assert/strict";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";
import { hasChromium, PageInBrowser, PHONE, SCREEN } from "./browser.ts";
import { anHoursMessages, openForMinutes, openMinutes } from "./open_page.ts";
import { takePictures, wantsPictures } from "./pictures.ts";
import { applied, claim, claimOf, startSample } from "./sample.ts";

/** Each view, with a word that is on it. */
const VIEWS = [
  ["/", "Nothing is wrong"],
  ["/networks", "plant.example"],
  ["/networks/shop", "web-1"],
  ["/networks/office", "“laptop-24”"],
  ["/networks/plant", "10.64.7.0/24"],
  ["/hosts", "Reached over VXLAN"],
  ["/matrix", "applied everything"],
  ["/map", "No probe fails"],
  ["/repairs", "rack2-a has mended 2"],
  ["/rates", "Services are asked every 15 s"],
  ["/find?q=web", "web-8"],
  ["/machines/02:84:0a:14:00:0b", "came to rack1-a: name web-1"],
  ["/history", "Known since revision"],
  ["/history?q=10.20.0.11", "What happened to 10.20.0.11"],
  ["/explain?network=shop", "from"],
  ["/explain?network=shop&a=web-1&b=nothing", "has no endpoint"],
  ["/apply?network=office", "Show what would happen"],
  ["/delete?network=office", "What goes with it"],
  ["/nothing", "there is no page"],
] as const;

Deno.test({ name: "the dashboard in a browser", ignore: !hasChromium }, async (t) => {
  const { lab, agents } = await startSample();
  await using _ = lab;
  const shop = await lab.idOf("shop");
  await using browser = await PageInBrowser.open(lab.at(""));
  const { page } = browser;
  const shows = (text: string | RegExp) => page.getByText(text).first().waitFor();
  await until("nothing is wrong", async (see) => see(await lab.page("/")).includes("Nothing is wrong"));

  await until("agents were asked", async (see) => "reachability" in see(await lab.json("/hosts")));

  for (const [path, word] of VIEWS) {
    await t.step(
      `${path}: axe finds nothing in light and dark, the policy holds, and a phone need not scroll sideways`,
      async () => {
        await browser.go(path);
        await shows(word);
        browser.clean(path, /^Failed to load resource: .* 404/);
        await browser.accessible(path);
        await page.setViewportSize(PHONE);
        await browser.fits(path);
        await page.setViewportSize(SCREEN);
      },
    );
  }

  await t.step({
    name: "pictures of each view",
    ignore: !wantsPictures,
    fn: () => takePictures(lab, agents, browser),
  });

  await t.step("a machine is found by half of its name", async () => {
    await browser.go("/");
    await page.getByLabel("Find a machine").fill("whis");
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByRole("link", { name: "whiskey.office.example" }).click();
    await page.getByRole("heading", { level: 1, name: "whiskey" }).waitFor();
    assert.equal(browser.path, "/machines/00%3A16%3A3e%3A00%3A00%3A03?network=office");
    await shows("10.30.0.12");
    browser.clean("found");
  });

  await t.step("a link of another site leads to a page", async () => {
    await page.goto(`data:text/html,${encodeURIComponent(`<a href="${lab.at("/networks/shop")}">shop</a>`)}`);
    await page.getByRole("link", { name: "shop" }).click();
    await page.getByRole("heading", { level: 1, name: "Network shop" }).waitFor();
    browser.clean("a link", /^data:/);
  });

  await t.step("the keyboard alone is enough, and what has the focus is seen", async () => {
    await browser.go("/networks");
    const press = async (key: string) => {
      await page.keyboard.press(key);
      return await browser.focused();
    };
    const order: string[] = [];
    for (let i = 0; i < 12; i++) order.push(await press("Tab"));
    assert.deepEqual(order, [
      "Skip to the content",
      "Health",
      "Networks",
      "Hosts",
      "Matrix",
      "Map",
      "Rates",
      "Explain",
      "History",
      "Apply",
      "Find a machine",
      "Find",
    ]);
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.type("db-3");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/find?q=db-3");
    await press("Tab");
    await page.keyboard.press("Enter");
    for (let i = 0; i < 20 && await press("Tab") !== "db-3"; i++);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/machines/**");
    await shows("/run/netns/db-3");
    browser.clean("by keyboard");
  });

  await t.step(
    "two machines are chosen, and a host that cannot be asked about the way between them is said",
    async () => {
      await browser.go("/networks/shop");
      await page.getByRole("link", { name: "Why does one machine not reach another?" }).click();
      await page.getByLabel("from").fill("web-1");
      await page.getByLabel("to", { exact: true }).fill("db-2");
      await page.getByRole("button", { name: "Explain" }).click();
      await page.getByRole("heading", { level: 1, name: "From web-1 to db-2 in network shop" }).waitFor();
      assert.equal(browser.path, "/explain?network=shop&a=web-1&b=db-2");
      await shows("2 steps are broken");
      await shows("the agent of rack1-a at 192.0.2.11");
      await shows("10.20.0.11 of network shop is that of web-1 on rack1-a");
      await browser.accessible("explained");
      await page.setViewportSize(PHONE);
      await browser.fits("explained");
      await page.setViewportSize(SCREEN);
      await browser.go("/machines/e0b");
      await page.getByRole("link", { name: "Why does another machine not reach it?" }).click();
      assert.equal(await page.getByLabel("from").inputValue(), "10.20.0.11");
      browser.clean("explain");
    },
  );

  await t.step("a table sorts, filters and turns its pages, and its address says how", async () => {
    await browser.go("/networks/shop?machines.size=10");
    const table = page.getByRole("region", { name: "Endpoints by host" });
    const first = () => table.locator("tbody th").first().innerText();
    await table.getByRole("link", { name: "Name" }).click();
    await page.waitForURL(/machines\.sort=name/);
    assert.equal(await first(), "api-1");
    await table.getByRole("link", { name: "Name" }).click();
    await page.waitForURL(/machines\.sort=-name/);
    assert.equal(await first(), "web-8");
    await page.getByRole("link", { name: "Next page" }).first().click();
    await page.waitForURL(/machines\.page=2/);
    assert.equal(await first(), "mail");
    await page.getByLabel("Filter: endpoints by host").fill("cache");
    await page.keyboard.press("Enter");
    await page.waitForURL(/machines\.filter=cache/);
    assert.equal(await table.locator("tbody tr").count(), 4);
    assert.equal(await first(), "cache-4");
    await page.goBack();
    assert.equal(await first(), "mail");
    browser.clean("tables");
  });

  await t.step(
    "the matrix of networks and hosts is searched both ways, and is fit for a phone with long names",
    async () => {
      await browser.go("/matrix");
      await page.getByLabel("Filter: hosts").fill("rack1");
      await page.keyboard.press("Enter");
      await page.waitForURL(/hosts\.filter=rack1/);
      const table = page.getByRole("region", { name: "Endpoints of each network on each host" });
      assert.equal(await table.locator("tbody tr").count(), 2);
      const cells = [...["runs", "3", "13", "0", "2"], ...["7", "2", "4"]];
      // The agents' answers come later than etcd's.
      await until("the row has what the agents said", async (see) => {
        const texts = await table.locator("tbody tr").first().locator("td").allInnerTexts();
        return `${see(texts)}` === `${cells}`;
      });
      await page.getByLabel("Filter: networks").fill("shop");
      await page.keyboard.press("Enter");
      await page.waitForURL(/networks\.filter=shop/);
      await table.getByRole("link", { name: "shop" }).click();
      await page.getByRole("heading", { level: 1, name: "Network shop" }).waitFor();
      browser.clean("matrix");
      const long = "x".repeat(250);
      await lab.write({ [claimOf(long)]: claim });
      await until("it is there", async (see) => see(await lab.page("/matrix")).includes(long));
      await browser.go("/matrix");
      await page.setViewportSize(PHONE);
      await browser.fits("matrix");
      await browser.accessible("matrix");
      await page.setViewportSize(SCREEN);
      await lab.remove(claimOf(long));
    },
  );

  await t.step(
    "the map shows in red which hosts do not reach each other, and says it in a table",
    async () => {
      await browser.go("/map");
      const map = page.getByRole("img", { name: "4 hosts around 3 networks; 0 probes between hosts fail." });
      await map.waitFor();
      agents.lost.add("rack2-b");
      await page.getByRole("img", { name: "3 probes between hosts fail" }).waitFor();
      await browser.accessible("map");
      const table = page.getByRole("region", { name: "Probes that fail" });
      assert.deepEqual(await table.locator("tbody tr").allInnerTexts(), [
        "rack1-a\track2-b",
        "rack1-b\track2-b",
        "rack2-a\track2-b",
      ]);
      // Each of the three lines to that host is drawn.
      assert.equal((await page.locator("path.failing").getAttribute("d"))?.match(/M/g)?.length, 3);
      await page.setViewportSize(PHONE);
      await browser.fits("map");
      await page.setViewportSize(SCREEN);
      agents.lost.clear();
      await map.waitFor();
      browser.clean("map");
    },
  );

  await t.step(
    "a host that fails is seen at once, without the page being loaded again",
    async () => {
      await browser.go("/");
      await shows("Nothing is wrong");
      await page.evaluate("window.mark = 1");
      // The page looks by itself every 15 s; it is told.
      await quickly(10_000, async () => {
        await lab.write({ [claimOf("rack2-b")]: claim });
        await shows("Nothing is wrong");
        await lab.remove(claimOf("rack2-b"));
        await shows("its agent does not run");
      });
      assert.equal(await page.evaluate("window.mark"), 1);
      await browser.accessible("what is wrong");
      await lab.write({ [claimOf("rack2-b")]: claim });
      await shows("Nothing is wrong");
      browser.clean("a host that failed");
    },
  );

  await t.step(
    "what is being typed stays while the page changes, and is followed again when it is left",
    async () => {
      await browser.go("/networks/shop");
      const field = page.getByLabel("Filter: endpoints by host");
      await field.fill("web");
      const revision = await lab.write(applied(shop, 2, ["rack1-a"]));
      await until(
        "the dashboard has it",
        async (see) => see(await lab.page("/networks/shop")).includes("on 3 of 4 hosts"),
      );
      assert.equal(await field.inputValue(), "web");
      await page.getByLabel("Find a machine").focus();
      await shows("on 3 of 4 hosts");
      await lab.write(applied(shop, revision));
      await page.getByText("on 3 of 4 hosts").first().waitFor({ state: "detached" });
      browser.clean("typing");
    },
  );

  await t.step("rates are sorted by their highest, and come by themselves", async () => {
    await browser.go("/rates?filter=dashboard");
    // The second time that it is asked there is a rate; the page looks every 15 s.
    await page.getByRole("cell", { name: /\d\/s$/ }).first().waitFor();
    await page.getByRole("link", { name: "Highest" }).click();
    await page.waitForURL(/sort=most/);
    const cells = page.getByRole("region", { name: "Rates of the last hour" }).locator("tbody tr");
    assert.match(await cells.last().innerText(), /^dashboard\t127\.0\.0\.1:\d+\trequests\t.*\/s/);
    browser.clean("rates");
  });

  await t.step(
    "a page that has taken the messages of an hour is no larger than after a few minutes",
    () => anHoursMessages(lab, browser),
  );

  await t.step({
    name: "a page that is open for as long as is asked for does not grow, nor does the dashboard",
    ignore: !openMinutes,
    fn: () => openForMinutes(lab, browser, shop, openMinutes),
  });

  await t.step("over a slow mobile line the first view comes within seconds", async () => {
    await browser.slow();
    // Two round trips of two seconds, for the page and its style, on a machine that may be busy.
    await quickly(15_000, async () => {
      await page.goto(lab.at("/networks/shop"), { waitUntil: "commit" });
      await until("the page is there", async (see) => {
        return see(await page.evaluate<number | undefined>("inPage.seen()")) !== undefined;
      });
    });
    await browser.slow(false);
    browser.clean("slow");
  });

  await t.step(
    "a network is edited: what is wrong is said, what would change is shown, and then it is changed",
    async () => {
      await browser.go("/networks/office");
      await page.getByRole("link", { name: "Edit" }).click();
      const text = page.getByLabel("Networks and members, as a YAML file");
      const before = await text.inputValue(),
        look = () => page.getByRole("button", { name: "Show what would happen" }).click();
      await text.fill(`${before}leaseduration: soon\n`);
      await look();
      await page.getByRole("alert").getByText('leaseduration: "soon" is not a whole number').waitFor();
      assert.equal(await text.inputValue(), `${before}leaseduration: soon\n`);
      browser.clean("wrong", /^Failed to load resource: .* 400/);
      await browser.accessible("wrong");
      await text.fill(`${before}leaseduration: 7200\n`);
      await look();
      await page.getByRole("row", { name: "leaseduration" }).getByText("7200 s").waitFor();
      await browser.accessible("what would happen");
      await page.setViewportSize(PHONE);
      await browser.fits("what would happen");
      await page.setViewportSize(SCREEN);
      assert.doesNotMatch(await lab.page("/networks/office"), /7200 s/, "a dry run changes nothing");
      // By keyboard, and the page as it is: it does not fetch itself again.
      const apply = page.getByRole("button", { name: "Apply this change" });
      await apply.focus();
      await page.keyboard.press("Enter");
      await page.getByText("Applied:").waitFor();
      await browser.accessible("applied");
      await page.getByRole("link", { name: "office", exact: true }).click();
      await shows("7200 s");
      browser.clean("edited");
    },
  );

  await t.step("a network is deleted once its name is typed", async () => {
    await browser.go("/networks/plant");
    await page.getByRole("link", { name: "Delete" }).click();
    await shows("2 members: press.plant.example, crane.plant.example");
    await page.getByLabel("to delete this network").fill("office");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText('confirm: "office" is not plant').waitFor();
    await browser.accessible("another name");
    browser.clean("another name", /^Failed to load resource: .* 400/);
    await page.getByLabel("to delete this network").fill("plant");
    await page.getByRole("button", { name: "Delete it" }).click();
    await shows("It is deleted.");
    await page.getByRole("link", { name: "All networks" }).click();
    await page.getByText("plant.example").waitFor({ state: "detached" });
    browser.clean("deleted");
  });

  await t.step("etcd that does not answer is said on the open page, and that it is back", async () => {
    await browser.go("/networks/shop");
    await page.evaluate("window.mark = 1");
    lab.etcd.freeze();
    await page.getByRole("status").getByText("etcd cannot be followed").waitFor();
    await browser.accessible("etcd away");
    await shows("web-1");
    lab.etcd.thaw();
    await page.getByText("etcd cannot be followed").waitFor({ state: "detached" });
    assert.equal(await page.evaluate("window.mark"), 1);
    browser.clean("etcd away");
  });
});
