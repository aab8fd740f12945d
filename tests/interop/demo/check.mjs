// Drives a Chromium over its debugging pipe (no library): node check.mjs PROFILE HTTPS_URL HTTP_URL
import { execSync } from "node:child_process";
import assert from "node:assert/strict";
import { Page, start } from "../chromium.mjs";

const [profile, https, http] = process.argv.slice(2);
const LOOKS = [
  { url: https, width: 390, height: 844, scheme: "dark" },
  { url: https, width: 1440, height: 900, scheme: "light" },
  { url: http, width: 390, height: 844, scheme: "light" },
];
const browser = start(profile);
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
  // One user's three tabs, reached by the command that the page shows.
  const tabs = [];
  for (let tab = 0; tab < 3; tab++) tabs.push(await Page.open({ url: https, width: 1440, height: 900, scheme: "light" }));
  for (const tab of tabs) await tab.until("the chat", `at("chat").dataset.is === "open"`);
  const command = await tabs[0].value(`at("push").textContent`);
  for (const tab of tabs) assert.equal(await tab.value(`at("push").textContent`), command, "the same user");
  const report = execSync(command, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  assert.equal(JSON.parse(report).queued, 3, report);
  for (const tab of tabs) await tab.until("what was pushed", `at("pushed").textContent === "hello"`);
  // A backend that is away is none of it.
  await tabs[0].value(`at("restart").click()`);
  await tabs[0].until("its end", `at("plain").querySelector(".state").dataset.is === "closed"`);
  assert.equal(JSON.parse(execSync(command, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })).queued, 3);
  for (const tab of tabs) await tab.until("the second", `at("pushed").children.length === 2`);
  for (const tab of tabs) assert.deepEqual(tab.errors(), []);
  console.log(`${command}\n  three tabs read it, also while the backend is away: ${report.trim()}`);
} finally {
  browser.kill();
}
