"use strict";
// Each lane sends a number every `TICK` and waits for its echo. What the visitor reads is measured
// here, at the client: how long no echo came, and which numbers came back after all.
// Who was closed comes back after `WAIT`, when a backend that was killed is back as a rule.
const TICK = 200, PAUSE = 600, WAIT = 2000, PATIENCE = 10_000, LINES_MAX = 50;
const at = id => document.getElementById(id);

/** What the end of a connection means, for people. */
const ENDS = {
  1000: "All was said, and both sides know it.",
  1001: "The other side goes away.",
  1002: "A rule of the protocol was broken.",
  1003: "This kind of data is not taken.",
  1005: "Closed, without a word why.",
  1006: "Cut off: no goodbye, no reason, no hint whether to come back.",
  1007: "A text was not UTF-8.",
  1008: "A policy says no.",
  1009: "A message was too big.",
  1011: "The server had a fault.",
  1012: "The service restarts: come back in a moment.",
  1013: "The service is busy: come back later.",
  1014: "The backend gave a wrong answer.",
  1015: "TLS failed.",
};
function sentence(code, reason) {
  const own = code >= 4000 ? "The application's own word." : "An end that this page has no word for.";
  return `${ENDS[code] ?? own}${reason ? ` (“${reason}”)` : ""}`;
}
const seconds = millis => `${(millis / 1000).toFixed(1)} s`;

class Lane {
  constructor(id, url, ticks) {
    Object.assign(this, { box: at(id), url, ticks, next: 0, echoed: 0, connections: 0, unsaid: 0 });
    this.waiting = new Map(); // numbers without their echo, and when they were sent
    this.wait = WAIT;
    this.connect();
  }

  connect() {
    this.show("connecting", this.connections ? "connecting again" : "connecting");
    const socket = this.socket = new WebSocket(this.url);
    socket.onopen = () => {
      this.connections++;
      this.wait = WAIT;
      this.heard = performance.now();
      this.show("open", "connected");
      if (this.ended) this.tell(`${this.ended} Connected again after ${seconds(this.heard - this.endedAt)}, as a new session.`);
      this.ended = undefined;
      news();
    };
    socket.onmessage = ({ data }) => this.hear(String(data));
    socket.onclose = ({ code, reason }) => {
      if (this.heard !== undefined) this.end(code, reason);
      else if (!this.ended && !this.connections) this.tell(`No connection yet: ${sentence(code, reason)} ${this.help ?? ""}`);
      this.show("closed", "not connected");
      this.heard = undefined;
      setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(this.wait * 2, 4 * WAIT);
    };
  }

  end(code, reason) {
    this.waiting.clear();
    this.gap = undefined;
    this.expected = false;
    this.endedAt = performance.now();
    this.ended = `Closed with ${code}. ${sentence(code, reason)}`;
    this.tell(this.ended);
  }

  tick() {
    if (this.socket.readyState === WebSocket.OPEN) {
      this.waiting.set(String(++this.next), performance.now());
      this.socket.send(this.next);
    } else if (this.connections) this.unsaid++;
    if (this.heard !== undefined && performance.now() - this.heard > PAUSE) this.show("waiting", "connected, the backend is away");
    this.count();
  }

  hear(text) {
    const now = performance.now(), sent = this.waiting.get(text);
    if (sent === undefined) return line("log", `${this.box.id}: ${text}`);
    if (this.expected && now - this.heard > PAUSE) this.gap = { from: this.heard, away: now - this.heard, kept: 0, until: this.next };
    this.heard = now;
    this.echoed++;
    this.waiting.delete(text);
    const gap = this.gap;
    if (gap && sent > gap.from && Number(text) <= gap.until) gap.kept++;
    if (gap && Number(text) >= gap.until) {
      const lost = [...this.waiting.keys()].filter(number => Number(number) < gap.until);
      lost.forEach(number => this.waiting.delete(number));
      const missing = lost.length ? `, ${lost.length} lost with the old one` : "";
      this.tell(`Nothing closed. The backend was away for ${seconds(gap.away)}; ${gap.kept} messages were kept for it and came back${missing}.`);
      this.gap = undefined;
      this.expected = false;
    }
    this.show("open", "connected");
  }

  show(state, word) {
    const box = this.box.querySelector(".state");
    box.dataset.is = state;
    if (box.textContent !== word) box.textContent = word;
  }

  tell(story) {
    this.box.querySelector(".story").textContent = story;
  }

  count() {
    const rows = [["connections", this.connections]];
    if (this.ticks) rows.push(["messages that came back", this.echoed], ["not sent: nobody there", this.unsaid]);
    this.box.querySelector("dl").replaceChildren(...rows.flatMap(pair));
  }
}

function pair([term, text]) {
  const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
  [dt.textContent, dd.textContent] = [term, text];
  return [dt, dd];
}

function line(id, text) {
  const item = document.createElement("li"), list = at(id);
  item.textContent = text;
  list.append(item);
  while (list.children.length > LINES_MAX) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

/** A socket that says nothing: what it hears was pushed. All tabs of a browser are one user. */
function chat(url, command) {
  let user = localStorage.getItem("user");
  if (!user) localStorage.setItem("user", user = `guest-${crypto.getRandomValues(new Uint16Array(1))[0]}`);
  at("user").textContent = user;
  at("push").textContent = command.replace("USER", user);
  const connect = () => {
    const socket = new WebSocket(`${url}?user=${user}`);
    socket.onopen = () => { at("chat").dataset.is = "open"; };
    socket.onmessage = ({ data }) => line("pushed", String(data));
    socket.onclose = () => {
      at("chat").dataset.is = "closed";
      setTimeout(connect, WAIT);
    };
  };
  connect();
}

let lanes = [];
function news(text) {
  const open = lanes.filter(lane => lane.heard !== undefined).length;
  at("news").textContent = text ?? `${open} of ${lanes.length} connected.`;
}

async function restart() {
  at("restart").disabled = true;
  try {
    const answer = await fetch("/demo/restart", { method: "POST", signal: AbortSignal.timeout(PATIENCE) });
    const { down_ms } = await answer.json();
    // A page that slept heard nothing for a while as well.
    lanes.forEach(lane => { lane.expected = true; });
    news(`The backend was killed, and is back in ${seconds(down_ms)}.`);
    setTimeout(() => { at("restart").disabled = false; }, down_ms + 1000);
  } catch (error) {
    news(`The demo gives no answer: ${error.message}`);
    at("restart").disabled = false;
  }
}

async function begin() {
  const facts = await (await fetch("/demo/facts.json")).json();
  const scheme = location.protocol === "https:" ? "wss" : "ws", own = facts.backend !== null;
  const urls = ["held", "plain"].map(id => [id, `${scheme}://${location.host}/${id}${facts.path}`]);
  if (facts.tunnel) urls.push(["tunnel", `${scheme}://${location.hostname}:${facts.tunnel}${facts.path}`]);
  else at("tunnel").remove();
  if (own) {
    at("lead").textContent = `WebSockets from this page to your backend ${facts.backend}. Restart it, and see what each of them notices.`;
    [at("restart"), at("bye")].forEach(button => button.remove());
    if (facts.resume !== "always") at("held").querySelector(".story").textContent =
      "Your backend is asked whether it can go on with a session. Where it does not say so (--resume always says it for it), the client reads 1012 once the backend is back.";
  }
  lanes = urls.map(([id, url]) => new Lane(id, url, !own));
  // A browser that trusts a certificate by host and port asks once more.
  if (scheme === "wss") lanes.forEach(lane => { lane.help = `Have the browser trust this certificate: open https://${new URL(lane.url).host}/ once.`; });
  if (facts.push) chat(`${scheme}://${location.host}/chat${facts.path}`, facts.push);
  else at("chat").remove();
  at("commands").replaceChildren(...facts.commands.flatMap(pair));
  setInterval(() => lanes.forEach(lane => lane.ticks ? lane.tick() : lane.count()), TICK);
}

const say = text => lanes.forEach(lane => lane.socket.readyState === WebSocket.OPEN && lane.socket.send(text));
at("restart").onclick = restart;
at("bye").onclick = () => say("/close 4001 as you wish");
at("form").onsubmit = event => {
  event.preventDefault();
  if (at("text").value) say(at("text").value);
  at("text").value = "";
};
begin().catch(error => news(`This page cannot begin: ${error.message}`));
