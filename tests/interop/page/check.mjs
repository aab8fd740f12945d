// The admin page, looked at: node check.mjs PROFILE URL PROXY_PID SESSIONS
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Page, start } from "../chromium.mjs";

const [profile, url, pid, sessions] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = start(profile);
const LOOKS = [
  { url, width: 390, height: 844, scheme: "dark" },
  { url, width: 390, height: 844, scheme: "light" },
  { url, width: 1440, height: 900, scheme: "dark" },
  { url, width: 1440, height: 900, scheme: "light" },
];
const MEASURED = Number(process.env.SECONDS_MEASURED || 20);

/** Seconds of processor that the proxy has used. */
function used() {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function share(seconds) {
  const before = used();
  await new Promise(done => setTimeout(done, seconds * 1_000));
  return 100 * (used() - before) / seconds;
}

const total = name => `[...document.querySelectorAll("#totals div")].find(one => one.firstElementChild.textContent === "${name}")?.lastElementChild.textContent`;
const shown = `document.querySelector("#connection")?.dataset.is === "live" && ${total("sessions")} === "${Number(sessions).toLocaleString("en")}"`;
const press = (name) => `[...document.querySelectorAll("button")].find(one => one.ariaLabel === "${name}" || one.textContent === "${name}").click()`;
/** What the page looks like, as a picture. */
async function picture(scheme, file) {
  const page = await Page.open({ url, width: 920, height: 620, scheme });
  await page.until("live sessions", shown);
  await page.until("rates", `${total("messages")} !== "0/s"`);
  await new Promise(done => setTimeout(done, 5_000));
  // Down to the backends, without the bar to scroll by.
  const width = await page.value("document.documentElement.clientWidth");
  const clip = { x: 0, y: 0, width, height: 516, scale: 1 };
  const { data } = await page.ask("Page.captureScreenshot", { format: "png", clip });
  writeFileSync(file, Buffer.from(data, "base64"));
  await page.ask("Page.close");
}

try {
  if (process.env.PICTURES) {
    for (const scheme of ["light", "dark"]) await picture(scheme, `${process.env.PICTURES}/page-${scheme}.png`);
    browser.kill();
    process.exit();
  }
  for (const look of LOOKS) {
    const page = await Page.open(look);
    await page.until("live sessions", shown);
    await page.until("the busiest", `document.querySelectorAll("#busiest tbody tr").length > 10`);
    await page.until("rates", `${total("messages")} !== "0/s"`);
    await page.value(`document.querySelector("#query").value = "user=user-4"; document.querySelector("#search form").requestSubmit(); true`);
    await page.until("a label found", `document.querySelector("#found").textContent === "1 of 1 found"`);
    await page.fits();
    const ground = await page.value("getComputedStyle(document.body).backgroundColor");
    assert.equal(ground, look.scheme === "dark" ? "rgb(14, 21, 24)" : "rgb(243, 246, 247)");
    await page.value(`document.activeElement.blur(); document.body.focus(); true`);
    const reached = new Set();
    for (let step = 0; step < 60; step++) {
      await page.press("Tab");
      reached.add(await page.value("document.activeElement.id || document.activeElement.ariaLabel || document.activeElement.textContent"));
    }
    for (const name of ["sign", "query", "Find", "Table of routes", "Drain */chat"]) assert.ok(reached.has(name), `Tab reaches ${[...reached]}`);
    // The page's own policy lets nothing in that is not its own: this is not the page's doing.
    await page.ask("Runtime.evaluate", { expression: axe });
    const { result } = await page.ask("Runtime.evaluate", {
      expression: `axe.run(document).then(told => JSON.stringify({ violations: told.violations.map(one => one.id + ": " + one.nodes.map(node => node.html).join(" ")), passes: told.passes.length }))`,
      awaitPromise: true, returnByValue: true,
    });
    const { violations, passes } = JSON.parse(result.value);
    assert.deepEqual(violations, []);
    assert.deepEqual(page.errors(), []);
    console.log(`${look.width} px, ${look.scheme}: no error, nothing beyond the edge, ${reached.size} reached by Tab, axe-core: ${passes} rules pass, none fails`);
    await page.ask("Page.close");
  }

  await new Promise(done => setTimeout(done, 12_000));
  const without = await share(MEASURED);
  const page = await Page.open(LOOKS[3]);
  await page.until("live sessions", shown);
  const with_ = await share(MEASURED);
  console.log(`${sessions} sessions: the proxy takes ${without.toFixed(2)} % of a core without the page, ${with_.toFixed(2)} % with it`);
  assert.ok(with_ - without < 2, "the page takes 2 % of a core or more");

  // A command: who, how many, and then the person.
  await page.value(press("Sign in") + "; true");
  await page.value(`document.querySelector("#user").value = "ada"; document.querySelector("#password").value = "page"; document.querySelector("#login .main").click(); true`);
  // A message to all that were found.
  await page.value(`document.querySelector("#query").value = "user=user-4"; document.querySelector("#search form").requestSubmit(); true`);
  await page.until("a session found", `document.querySelector("#found").textContent === "1 of 1 found" && !document.querySelector("#push").hidden`);
  await page.value(`document.querySelector("#push").click(); true`);
  await page.until("the message's window", `document.querySelector("#message").open`);
  await page.value(`document.querySelector("#text").value = "news"; document.querySelector("#message .main").click(); true`);
  await page.until("the question", `document.querySelector("#confirm").open && document.querySelector("#what").textContent === "This is for 1 session."`);
  await page.value(`document.querySelector("#go").click(); true`);
  await page.until("what became of it", `document.querySelector("#said").textContent.startsWith("queued: 1 of 1 matched")`);
  console.log(`a message: ${await page.value(`document.querySelector("#said").textContent`)}`);
  await page.value(press("Drain */feed") + "; true");
  const half = Math.floor(sessions / 2).toLocaleString("en");
  await page.until("the question", `document.querySelector("#confirm").open && document.querySelector("#what").textContent === "This is for ${half} sessions."`);
  await page.value(`document.querySelector("#go").click(); true`);
  await page.until("what was done", `document.querySelector("#said").textContent.startsWith("drained: ")`);
  await page.until("the others", `${total("sessions")} === "${(sessions - Math.floor(sessions / 2)).toLocaleString("en")}"`);
  assert.deepEqual(page.errors(), []);
  console.log(`a command: ${await page.value(`document.querySelector("#said").textContent`)}`);
} finally {
  browser.kill();
}
