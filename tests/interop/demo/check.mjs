// Drives a Chromium over its debugging pipe (no library): node check.mjs PROFILE HTTPS_URL HTTP_URL
import { spawn } from "node:child_process";
import assert from "node:assert/strict";

const [profile, https, http] = process.argv.slice(2);
const LOOKS = [
  { url: https, width: 390, height: 844, scheme: "dark" },
  { url: https, width: 1440, height: 900, scheme: "light" },
  { url: http, width: 390, height: 844, scheme: "light" },
];
const PATIENCE = 60_000;

const browser = spawn("chromium", [
  "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--ignore-certificate-errors", "--remote-debugging-pipe",
  `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const [, , , commands, answers] = browser.stdio;
let [number, rest] = [0, ""];
const [waiting, events] = [new Map(), []];
answers.on("data", data => {
  const parts = (rest + data).split("\0");
  rest = parts.pop();
  for (const message of parts.map(part => JSON.parse(part))) {
    if (message.id === undefined) events.push(message);
    else waiting.get(message.id)(message);
  }
});
async function ask(method, params = {}, sessionId = undefined) {
  const id = ++number;
  const answered = new Promise(resolve => waiting.set(id, resolve));
  commands.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  const { error, result } = await answered;
  assert.equal(error, undefined, `${method}: ${JSON.stringify(error)}`);
  return result;
}

/** One page, looked at in one way. */
class Page {
  static async open({ url, width, height, scheme }) {
    const { targetId } = await ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true });
    const page = Object.assign(new Page(), { targetId, sessionId, width });
    for (const domain of ["Page", "Runtime", "Log"]) await page.ask(`${domain}.enable`);
    await page.ask("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 800 });
    await page.ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    await page.ask("Page.navigate", { url });
    return page;
  }

  ask(method, params) {
    return ask(method, params, this.sessionId);
  }

  async value(expression) {
    const { result, exceptionDetails } = await this.ask("Runtime.evaluate", { expression, returnByValue: true });
    assert.equal(exceptionDetails, undefined, expression);
    return result.value;
  }

  async until(what, expression) {
    const end = Date.now() + PATIENCE;
    while (!await this.value(expression)) {
      assert.ok(Date.now() < end, `in vain for ${what}: ${await this.value("document.body.innerText")}`);
      await new Promise(done => setTimeout(done, 50));
    }
  }

  async press(key, text) {
    for (const type of ["keyDown", "keyUp"]) {
      const code = { Tab: 9, Enter: 13 }[key];
      await this.ask("Input.dispatchKeyEvent", { type, key, code: key, windowsVirtualKeyCode: code, text: type === "keyDown" ? text : undefined });
    }
  }

  /** Nothing is beyond the edge of the screen. */
  async fits() {
    const wide = await this.value(`[document.documentElement, document.body, ...document.querySelectorAll("button, article, h1")]
      .map(one => one === document.documentElement ? one.scrollWidth : one.getBoundingClientRect().right)`);
    assert.ok(Math.max(...wide) <= this.width, `${this.width} px: ${wide}`);
  }

  errors() {
    const own = events.filter(event => event.sessionId === this.sessionId);
    const logged = own.filter(event => event.method === "Log.entryAdded" && event.params.entry.level === "error");
    const said = own.filter(event => event.method === "Runtime.consoleAPICalled" && event.params.type === "error");
    const thrown = own.filter(event => event.method === "Runtime.exceptionThrown");
    return [...logged, ...said, ...thrown].map(event => JSON.stringify(event.params));
  }
}

const story = id => `document.querySelector("#${id} .story").textContent`;
try {
  for (const look of LOOKS) {
    const page = await Page.open(look);
    const open = `[...document.querySelectorAll(".state")].filter(state => state.dataset.is === "open").length`;
    await page.until("three connections", `${open} === 3`);
    await page.until("echoes", `[...document.querySelectorAll("article dl")].every(list => Number(list.children[3]?.textContent) > 3)`);
    await page.fits();
    const ground = await page.value("getComputedStyle(document.body).backgroundColor");
    assert.equal(ground, look.scheme === "dark" ? "rgb(14, 21, 24)" : "rgb(243, 246, 247)");

    const reached = [];
    for (let step = 0; step < 6; step++) {
      await page.press("Tab");
      reached.push(await page.value("document.activeElement.id"));
    }
    for (const id of ["restart", "text", "send", "bye"]) assert.ok(reached.includes(id), `Tab reaches ${reached}`);
    await page.value(`at("text").focus()`);
    await page.ask("Input.insertText", { text: "hello" });
    await page.press("Enter", "\r");
    await page.until("what was said", `at("log").children.length === 3`);

    await page.value(`at("restart").focus()`);
    await page.press("Enter", "\r");
    await page.until("the held one's story", `${story("held")}.startsWith("Nothing closed.")`);
    await page.until("the end of the one that is not held", `${story("plain")}.startsWith("Closed with 1012. The service restarts")`);
    await page.until("the tunnel's end", `${story("tunnel")}.startsWith("Closed with 1006. Cut off")`);
    await page.until("new connections", `${open} === 3 && ["plain", "tunnel"].every(id => document.querySelector("#" + id + " .story").textContent.includes("Connected again"))`);
    assert.equal(await page.value(`document.querySelector("#held dl").children[1].textContent`), "1", "the held one is the same connection");
    await page.fits();
    assert.deepEqual(page.errors(), []);
    console.log(`${look.url} at ${look.width} px, ${look.scheme}: no error, nothing beyond the edge, Tab reaches ${reached.join(", ")}`);
    for (const id of ["held", "plain", "tunnel"]) console.log(`  ${id}: ${await page.value(story(id))}`);
    await page.ask("Page.close");
  }
} finally {
  browser.kill();
}
