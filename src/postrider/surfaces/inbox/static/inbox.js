// The inbox page: lists captured mail, shows one, and waits for the next. No framework, no foreign host.
"use strict";

const PAGE = 50;
const WAIT_S = 3; // short, so that a stopping server is not kept waiting
const RETRY_MS = 2000;
const RAW_SHOWN = 300_000;
const READ_KEPT = 1000;
const TABS = ["html", "text", "headers", "raw", "delivery"];
const TONES = {
  delivered: "good", sent: "good", opened: "act", clicked: "act", deferred: "warn",
  bounced: "bad", failed: "bad", complained: "bad", suppressed: "bad", unsubscribed: "warn", cancelled: "warn",
};

const $ = (id) => document.getElementById(id);
const root = document.body.dataset.root;
const organization = new URLSearchParams(location.search).get("organization");
const state = { mails: [], next: null, total: 0, newest: null, mail: null, tab: null, query: {}, loaded: false, aborter: null };
const read = new Set(stored());

// The server.

function url(path, params = {}) {
  const given = Object.entries({ organization, ...params }).filter(([, value]) => value != null && value !== "");
  const query = new URLSearchParams(given).toString();
  return path + (query ? "?" + query : "");
}

async function ask(path, params, options) {
  const answer = await fetch(url(root + "/api" + path, params), options);
  if (answer.status === 401) location.assign(root + "/login");
  if (!answer.ok) throw Object.assign(new Error(String(answer.status)), { status: answer.status });
  return answer.json();
}

async function load() {
  const found = await ask("/mails", { ...state.query, limit: PAGE });
  state.mails = found.mails;
  state.next = found.next;
  state.total = found.total;
  state.loaded = true;
  noteNewest();
  showList();
}

async function loadOlder() {
  if (!state.next) return;
  const found = await ask("/mails", { ...state.query, limit: PAGE, before: state.next });
  state.mails.push(...found.mails);
  state.next = found.next;
  showList();
}

async function loadNewer(aborter) {
  const params = { ...state.query, limit: 200, after: state.newest, wait: WAIT_S };
  const found = await ask("/mails", params, { signal: aborter.signal });
  const known = new Set(state.mails.map((mail) => mail.id));
  const fresh = found.mails.filter((mail) => !known.has(mail.id));
  if (!fresh.length && found.total === state.total) return;
  const wasEmpty = state.mails.length === 0;
  state.mails = [...fresh, ...state.mails];
  state.total = found.total;
  noteNewest();
  showList(new Set(fresh.map((mail) => mail.id)));
  if (wasEmpty && fresh.length && !isNarrow()) choose(fresh[0].id);
}

async function watch() {
  for (;;) {
    if (document.hidden) await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
    const aborter = (state.aborter = new AbortController());
    try {
      if (!state.loaded) await load();
      await loadNewer(aborter);
      live("on");
    } catch {
      if (aborter.signal.aborted) continue;
      live("off");
      await new Promise((go) => setTimeout(go, RETRY_MS));
    }
  }
}

function noteNewest() {
  const newest = state.mails.length ? state.mails[0].id : null;
  if (newest && (!state.newest || newest > state.newest)) state.newest = newest;
}

// The list.

function showList(fresh = new Set()) {
  const selected = chosen();
  const rows = state.mails.map((mail) => row(mail, mail.id === selected, fresh.has(mail.id)));
  $("mails").replaceChildren(...rows);
  $("more").hidden = !state.next;
  $("clear").disabled = state.total === 0;
  $("total").textContent = state.total.toLocaleString();
  const searching = Object.keys(state.query).length > 0;
  const isEmpty = state.loaded && state.mails.length === 0;
  $("none").hidden = !(isEmpty && searching);
  $("ghosts").hidden = !isEmpty || searching;
  const waiting = isEmpty && !searching && !state.mail;
  $("welcome").hidden = !waiting;
  $("pick").hidden = waiting || state.mail !== null || !state.loaded;
  document.body.toggleAttribute("data-empty", waiting);
  const unread = state.mails.filter((mail) => !read.has(mail.id)).length;
  document.title = (unread ? `(${unread}) ` : "") + "Inbox · Postrider";
}

function row(mail, isSelected, isFresh) {
  const link = element("a", { class: "row", href: "#" + mail.id });
  if (isSelected) link.setAttribute("aria-current", "true");
  if (!read.has(mail.id)) link.classList.add("unread");
  if (isFresh) link.classList.add("fresh");
  const from = mailbox(mail.from);
  const subject = element("span", { class: "about" }, mail.subject || "(no subject)");
  const to = element("span", { class: "to" }, `to ${mail.recipient}`);
  link.append(face(from), element("b", {}, from.name || from.address), time(mail.created_at, shortTime), subject, to);
  const item = element("li");
  item.append(link);
  return item;
}

function face(from) {
  const sum = [...from.address].reduce((total, char) => total + char.codePointAt(0), 0);
  const letter = [...(from.name || from.address || "?")][0].toUpperCase();
  return element("span", { class: "face", "data-tint": String(sum % 8), "aria-hidden": "true" }, letter);
}

// One mail.

const chosen = () => location.hash.slice(1) || null;
const choose = (id) => { location.hash = id; };

async function showChosen() {
  const id = chosen();
  document.body.dataset.view = id ? "mail" : "list";
  if (!id) {
    state.mail = null;
    $("mail").hidden = true;
    $("frame").removeAttribute("src");
    return showList();
  }
  try {
    const { mail } = await ask("/mails/" + encodeURIComponent(id));
    if (chosen() !== id) return;
    state.mail = mail;
  } catch (fault) {
    if (chosen() !== id) return;
    toast(fault.status === 404 ? "This mail is gone" : "The mail could not be loaded");
    return leave();
  }
  remember(id);
  showMail(state.mail);
  showList();
  const current = document.querySelector('.row[aria-current="true"]');
  if (current) current.scrollIntoView({ block: "nearest" });
}

function showMail(mail) {
  const from = mailbox(mail.from);
  $("subject").textContent = mail.subject || "(no subject)";
  $("from-name").textContent = from.name || from.address;
  $("from-address").textContent = from.name ? from.address : "";
  const shown = mail.to && !mail.to.includes(mail.recipient) ? `${mail.to} (delivered to ${mail.recipient})` : mail.to || mail.recipient;
  $("to").textContent = shown + (mail.cc ? `, cc ${mail.cc}` : "");
  const fresh = face(from);
  fresh.id = "face";
  $("face").replaceWith(fresh);
  $("time").replaceWith(Object.assign(time(mail.created_at, longTime), { id: "time" }));
  $("download").href = url(mail.raw_url);
  showParts(mail.attachments);
  $("faults").replaceChildren(...mail.faults.map((fault) => element("li", {}, fault)));
  $("faults").hidden = mail.faults.length === 0;
  $("tab-html").disabled = mail.html === null;
  $("tab-text").disabled = mail.text === null;
  $("remote").hidden = !mail.has_remote_images;
  $("frame").removeAttribute("src");
  $("text").replaceChildren(...linked(mail.text || ""));
  $("headers").replaceChildren(...mail.headers.map(({ name, value }) => pair(name, value)));
  $("raw").textContent = "";
  $("delivery").replaceChildren();
  $("mail").hidden = false;
  $("welcome").hidden = $("pick").hidden = true;
  showTab(usable(state.tab) ? state.tab : TABS.find(usable));
}

function showParts(parts) {
  const items = parts.map((part) => {
    const link = element("a", { href: url(part.url), download: part.filename });
    link.append(icon("clip"), element("b", {}, part.filename), element("span", {}, size(part.size_bytes)));
    const item = element("li");
    item.append(link);
    return item;
  });
  $("parts").replaceChildren(...items);
  $("parts").hidden = items.length === 0;
}

const usable = (tab) => tab !== null && state.mail !== null && !$("tab-" + tab).disabled;

function showTab(tab) {
  for (const each of TABS) {
    const isShown = each === tab;
    $("tab-" + each).setAttribute("aria-selected", String(isShown));
    $("tab-" + each).tabIndex = isShown ? 0 : -1;
    $("view-" + each).hidden = !isShown;
  }
  $("widths").hidden = tab !== "html";
  if (tab === "html" && !$("frame").hasAttribute("src")) showFrame(null);
  if (tab === "raw" && !$("raw").textContent) showRaw(state.mail);
  if (tab === "delivery") showDelivery(state.mail);
}

function showFrame(images) {
  $("frame").src = url(`${root}/api/mails/${state.mail.id}/html`, { images });
}

async function showRaw(mail) {
  const answer = await fetch(url(mail.raw_url));
  const text = answer.ok ? await answer.text() : "It could not be loaded.";
  if (state.mail !== mail) return;
  const rest = text.length - RAW_SHOWN;
  $("raw").textContent = rest > 0 ? `${text.slice(0, RAW_SHOWN)}\n\n${size(rest)} more: download the mail.` : text;
}

async function showDelivery(mail) {
  const told = await ask(`/mails/${mail.id}/delivery`).catch(() => null);
  if (state.mail !== mail) return;
  if (!told) return $("delivery").replaceChildren(element("p", {}, "Nothing is kept of its delivery."));
  const events = element("ol", { class: "events" });
  events.append(...told.events.map(eventItem));
  const attempts = told.attempts.map(attemptBox);
  $("delivery").replaceChildren(element("h2", {}, "What happened"), events, element("h2", {}, "Attempts"), ...attempts);
}

function eventItem(event) {
  const item = element("li", { "data-tone": TONES[event.kind] || "none" });
  const facts = Object.entries(event.data).filter(([, fact]) => fact !== null && typeof fact !== "object");
  const said = facts.map(([name, fact]) => `${name.replaceAll("_", " ")} ${fact}`).join(", ");
  item.append(element("b", {}, event.kind.replaceAll("_", " ")), time(event.at, clockTime), element("span", {}, said));
  return item;
}

function attemptBox(attempt) {
  const box = element("div", { class: "attempt" });
  const facts = [
    attempt.via && `via ${attempt.via}`, attempt.host, attempt.tls, attempt.code && `${attempt.code}`, `${attempt.duration_ms} ms`,
  ];
  const line = element("p");
  line.append(element("b", {}, `${attempt.number}. ${attempt.outcome}`), ...facts.filter(Boolean).map((fact) => element("span", {}, fact)));
  box.append(line);
  const dialogue = attempt.transcript.length ? attempt.transcript.join("\n") : attempt.reply;
  if (dialogue) box.append(element("pre", {}, dialogue));
  return box;
}

function leave() {
  history.replaceState(null, "", location.pathname + location.search);
  return showChosen();
}

async function remove() {
  const mail = state.mail;
  if (!mail) return;
  const place = state.mails.findIndex((each) => each.id === mail.id);
  const following = state.mails[place + 1] || state.mails[place - 1];
  try {
    await ask("/mails/" + mail.id, {}, { method: "DELETE" });
  } catch (fault) {
    if (fault.status !== 404) return toast("It could not be deleted");
  }
  state.mails = state.mails.filter((each) => each.id !== mail.id);
  state.total = Math.max(0, state.total - 1);
  toast("Deleted");
  if (following && !isNarrow()) choose(following.id);
  else leave();
}

async function removeAll() {
  $("sure-count").textContent = state.total.toLocaleString();
  $("sure").returnValue = "no";
  $("sure").showModal();
  await new Promise((closed) => $("sure").addEventListener("close", closed, { once: true }));
  if ($("sure").returnValue !== "yes") return;
  const { deleted } = await ask("/mails", {}, { method: "DELETE" });
  toast(`${deleted.toLocaleString()} deleted`);
  await leave();
  await load();
}

// Searching, keys, buttons.

let typing = 0;
function search() {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const words = $("search").value.trim();
    const isAddress = /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(words);
    state.query = words ? (isAddress ? { to: words } : { subject: words }) : {};
    state.newest = null;
    load().catch(() => live("off"));
    if (state.aborter) state.aborter.abort();
  }, 150);
}

function step(by) {
  const place = state.mails.findIndex((mail) => mail.id === chosen());
  const target = state.mails[place < 0 ? (by > 0 ? 0 : -1) : place + by];
  if (target) choose(target.id);
}

const KEYS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  d: remove, Delete: remove, "/": () => $("search").focus(), Escape: () => chosen() && leave(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("sure").open) return;
  if (event.target === $("search")) {
    if (event.key === "Escape") { $("search").value = ""; search(); $("search").blur(); }
    return;
  }
  if (event.target.closest("[role=tablist]") && (event.key === "ArrowLeft" || event.key === "ArrowRight")) return turn(event);
  if (event.key.startsWith("Arrow") && event.target.closest("[role=tabpanel]")) return;
  const tab = TABS[Number(event.key) - 1];
  const act = tab && usable(tab) ? () => pickTab(tab) : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

function turn(event) {
  const open = TABS.filter(usable);
  const at = open.findIndex((tab) => $("tab-" + tab).getAttribute("aria-selected") === "true");
  const tab = open[(at + (event.key === "ArrowRight" ? 1 : open.length - 1)) % open.length];
  pickTab(tab);
  $("tab-" + tab).focus();
}

function pickTab(tab) {
  state.tab = tab;
  showTab(tab);
}

for (const tab of TABS) $("tab-" + tab).addEventListener("click", () => pickTab(tab));
for (const button of document.querySelectorAll("[data-width]")) {
  if (button.tagName !== "BUTTON") continue;
  button.addEventListener("click", () => {
    $("stage").dataset.width = button.dataset.width;
    for (const each of $("widths").children) each.setAttribute("aria-pressed", String(each === button));
  });
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($(button.dataset.copy).textContent);
    toast("Copied");
  });
}
$("load-images").addEventListener("click", () => { $("remote").hidden = true; showFrame("1"); });
$("search").addEventListener("input", search);
$("more").addEventListener("click", () => loadOlder().catch(() => live("off")));
$("delete").addEventListener("click", remove);
$("back").addEventListener("click", leave);
$("clear").addEventListener("click", () => removeAll().catch(() => toast("They could not be deleted")));
window.addEventListener("hashchange", showChosen);

// Small things.

function element(name, attributes = {}, text = null) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#i-" + name);
  svg.append(use);
  return svg;
}

function pair(name, value) {
  const made = element("div");
  made.append(element("dt", {}, name), element("dd", {}, value));
  return made;
}

function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]])/).map((piece, place) =>
    place % 2 ? element("a", { href: piece, target: "_blank", rel: "noopener noreferrer" }, piece) : piece);
}

function mailbox(text) {
  const found = /^\s*"?(.*?)"?\s*<([^<>]*)>\s*$/.exec(text || "");
  return found ? { name: found[1], address: found[2] } : { name: "", address: (text || "").trim() };
}

function time(iso, format) {
  const made = element("time", { datetime: iso, title: new Date(iso).toLocaleString() });
  made.textContent = format(new Date(iso));
  return made;
}

function shortTime(at) {
  if (at.toDateString() === new Date().toDateString()) return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return at.toLocaleDateString([], { month: "short", day: "numeric" });
}

const longTime = (at) => at.toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const clockTime = (at) => at.toLocaleTimeString([], { hour12: false }) + "." + String(at.getMilliseconds()).padStart(3, "0");
const isNarrow = () => matchMedia("(max-width: 760px)").matches;

function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function live(now) {
  $("live").dataset.state = now;
  $("live").lastElementChild.textContent = now === "on" ? "Live" : "Connection lost, trying again";
}

let fading = 0;
function toast(words) {
  $("toast").textContent = words;
  $("toast").classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => $("toast").classList.remove("shown"), 2200);
}

function stored() {
  try {
    const kept = JSON.parse(localStorage.getItem("postrider.read") || "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

function remember(id) {
  read.add(id);
  try {
    localStorage.setItem("postrider.read", JSON.stringify([...read].slice(-READ_KEPT)));
  } catch {
    // Storage is full or forbidden: the mark lives as long as the page.
  }
}

watch();
showChosen();
