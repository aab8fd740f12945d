// Drives a Chromium over its debugging pipe (no library).
import { spawn } from "node:child_process";
import assert from "node:assert/strict";

const PATIENCE = 60_000;

let [commands, number, rest] = [undefined, 0, ""];
const [waiting, events] = [new Map(), []];

/** Starts it with a profile in this directory, and more flags; gives the process. */
export function start(profile, ...flags) {
  const browser = spawn("chromium", [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--ignore-certificate-errors", "--remote-debugging-pipe",
    `--user-data-dir=${profile}`, ...flags, "about:blank",
  ], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const answers = browser.stdio[4];
  commands = browser.stdio[3];
  // One that is ended may break its pipes before it is gone.
  for (const pipe of [commands, answers]) {
    pipe.on("error", error => {
      if (!browser.killed) throw error;
    });
  }
  answers.on("data", data => {
    const parts = (rest + data).split("\0");
    rest = parts.pop();
    for (const message of parts.map(part => JSON.parse(part))) {
      if (message.id === undefined) events.push(message);
      else waiting.get(message.id)(message);
    }
  });
  return browser;
}

export async function ask(method, params = {}, sessionId = undefined) {
  const id = ++number;
  const answered = new Promise(resolve => waiting.set(id, resolve));
  commands.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  const { error, result } = await answered;
  assert.equal(error, undefined, `${method}: ${JSON.stringify(error)}`);
  return result;
}

/** One page, looked at in one way. */
export class Page {
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
    const wide = await this.value(`[document.documentElement, document.body, ...document.querySelectorAll("main > *, button:not(td button), article, h1")]
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
