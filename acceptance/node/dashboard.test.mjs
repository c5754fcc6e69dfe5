// The dashboard in a real browser: without a token, an outage as it happens, an operator's keys, both themes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

const BROWSER = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const TOKEN = "a-token-for-the-tests";
const skip = existsSync(BROWSER) ? false : `NO BROWSER at ${BROWSER}: THE DASHBOARD IS NOT TESTED (apt-get install chromium)`;
if (skip) console.error(`acceptance: ${skip}`);
const processes = [];
const providers = {};
let url, admin, browser, calls, folder;

/** Starts the program and resolves to the match of a pattern in what it prints. */
function start(args, pattern) {
  const child = spawn(process.env.UNBROKEN_BIN, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, RUST_LOG: "error" } });
  processes.push(child);
  return new Promise((resolve, reject) => {
    let text = "";
    const read = (data) => {
      text += data;
      const found = pattern.exec(text);
      if (found) resolve(found);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", () => reject(new Error(`${args} ended: ${text}`)));
  });
}

const fault = (name, fault) => fetch(`${providers[name]}/fake/fault`, { method: "PUT", body: JSON.stringify({ model: "*", fault }) });

async function call() {
  const messages = [{ role: "user", content: "Count." }];
  const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: JSON.stringify({ model: "chat", stream: true, messages }) });
  await answer.text();
}

/** A page that has shown the token, and what its console said. */
async function open(theme) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1100 } });
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("request", (request) => request.url().startsWith(admin) || request.url().startsWith("data:") || page.faults.push(`asks elsewhere: ${request.url()}`));
  await page.goto(`${admin}/#token=${encodeURIComponent(TOKEN)}&theme=${theme}`);
  await page.waitForSelector(".target");
  return page;
}

before(async () => {
  if (skip) return;
  let config = 'listen = "127.0.0.1:0"\n[health]\nenabled = false\n';
  config += '[breaker]\nrecovery = "2s"\nrecovery_max = "2s"\nramp_step = "200ms"\n';
  for (const name of ["first", "second"]) {
    [providers[name]] = await start(["fake-provider"], /http:\/\/[0-9.:]+/);
    config += `[[provider]]\nname = "${name}"\ndialect = "openai-chat"\nbase_url = "${providers[name]}/v1"\n`;
  }
  config += `[[route]]\nname = "chat"\ntargets = ["first/m", "second/m"]\n[admin]\nlisten = "127.0.0.1:0"\ntoken = "${TOKEN}"\n`;
  folder = mkdtempSync(join(tmpdir(), "unbroken-"));
  const file = join(folder, "unbroken.toml");
  writeFileSync(file, config);
  [, url, admin] = await start(["serve", "--config", file], /on (http:\/\/[0-9.:]+)\s+dashboard (http:\/\/[0-9.:]+)\s/);
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  browser = await chromium.launch({ executablePath: BROWSER, args });
  calls = setInterval(() => call().catch(() => {}), 120);
});

after(async () => {
  clearInterval(calls);
  await browser?.close();
  for (const child of processes) {
    child.removeAllListeners("exit");
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test("without the token it asks for it and shows nothing", { skip }, async () => {
  const page = await browser.newPage();
  await page.goto(admin);
  await page.waitForSelector("#login[open]");
  assert.equal(await page.locator(".target").count(), 0);
  await page.fill("#token", "something wrong");
  await page.press("#token", "Enter");
  await page.waitForSelector("#login-error:not([hidden])");
  await page.fill("#token", TOKEN);
  await page.press("#token", "Enter");
  await page.waitForSelector(".target");
  await page.close();
});

test("an outage is seen as it happens, and its end", { skip, timeout: 90_000 }, async () => {
  const page = await open("light");
  await page.waitForSelector('.target[data-target="first/m"][data-health="well"]');
  await fault("first", { do: "overloaded" });
  await page.waitForSelector('.target[data-target="first/m"][data-health="shut"]');
  const reason = await page.locator('.target[data-target="first/m"] .why').innerText();
  assert.match(reason, /it kept failing: it is overloaded/);
  await page.waitForFunction(() => document.querySelector("#verdict").textContent === "1 of 2 targets left alone; every route is answered");
  assert.match(await page.locator(".incident.now").innerText(), /first\/m[\s\S]*no client saw it[\s\S]*the first failure: it is overloaded/);
  await page.waitForFunction(() => /second\/m\s*100 %/.test(document.querySelector(".chain").innerText), null, { timeout: 30_000 });
  await fetch(`${providers.first}/fake/fault`, { method: "DELETE" });
  await page.waitForSelector(".incident:not(.now)", { timeout: 60_000 });
  await page.waitForFunction(() => document.querySelector("#verdict").textContent === "All 2 targets can be used");
  assert.deepEqual(page.faults, []);
  await page.close();
});

test("an operator looks at a target and drains it by keys alone", { skip, timeout: 30_000 }, async () => {
  const page = await open("dark");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.keyboard.press("/");
  await page.keyboard.type("second");
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#what-if").innerText.includes("first/m would answer"));
  await page.getByRole("button", { name: /^Drain/ }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await page.waitForSelector('.target[data-target="second/m"][data-health="held"]');
  assert.match(await page.locator("#drawer-words").innerText(), /drained by an operator/);
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#drawer").isHidden());
  await page.keyboard.press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
  assert.deepEqual(page.faults, []);
  await page.close();
});
