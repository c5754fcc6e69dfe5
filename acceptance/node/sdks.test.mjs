// Each official Node SDK: plain, streaming, a tool call with its result, an error; against every provider dialect,
// healthy and with the first target dead. The SDKs' own retries are off, so that only the gateway can save a call.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const WORDS = Array.from({ length: 60 }, (_, n) => `w${n + 1}`).join(" ");
const SCHEMA = { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city"] };
const ARGUMENTS = { city: "Berlin", days: 7 };
const DIALECTS = {
  openai: ["openai-chat", "/v1"],
  responses: ["openai-responses", "/v1"],
  anthropic: ["anthropic-messages", ""],
  gemini: ["gemini", ""],
};
const ROUTES = Object.keys(DIALECTS).flatMap((name) => [name, `rescue-${name}`]);
const processes = [];
const providers = {};
let url, folder;

/** Starts the program and resolves to the address that it prints. */
function start(...args) {
  const child = spawn(process.env.UNBROKEN_BIN, args, { stdio: ["ignore", "pipe", "pipe"] });
  processes.push(child);
  return new Promise((resolve, reject) => {
    const read = (data) => {
      const found = /http:\/\/[0-9.:]+/.exec(String(data));
      if (found) resolve(found[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", () => reject(new Error(`${args} ended`)));
  });
}

const fault = (provider, fault) =>
  fetch(`${provider}/fake/fault`, { method: "PUT", body: JSON.stringify({ model: "*", fault }) });

before(async () => {
  let config = 'listen = "127.0.0.1:0"\n[health]\nenabled = false\n';
  const provider = (name, dialect, url) =>
    `[[provider]]\nname = "${name}"\ndialect = "${dialect}"\nbase_url = "${url}"\nkey = "k"\n`;
  for (const [name, [dialect, path]] of Object.entries(DIALECTS)) {
    providers[name] = await start("fake-provider");
    config += provider(name, dialect, providers[name] + path);
  }
  const dead = await start("fake-provider");
  await fault(dead, { do: "refuse" });
  config += provider("dead", "openai-chat", `${dead}/v1`);
  for (const name of Object.keys(DIALECTS)) {
    config += `[[route]]\nname = "${name}"\ntargets = ["${name}/m"]\n`;
    config += `[[route]]\nname = "rescue-${name}"\ntargets = ["dead/m", "${name}/m"]\n`;
  }
  folder = mkdtempSync(join(tmpdir(), "unbroken-"));
  const file = join(folder, "unbroken.toml");
  writeFileSync(file, config);
  url = await start("serve", "--config", file);
});

after(async () => {
  processes.forEach((child) => child.kill());
  await Promise.all(processes.map((child) => child.exitCode ?? child.signalCode ?? once(child, "exit")));
  rmSync(folder, { recursive: true, force: true });
});

/** Runs `body` while the provider that answers on `route` refuses the client's own request. */
async function whileFailing(route, body) {
  const provider = providers[route.replace("rescue-", "")];
  await fault(provider, { do: "invalid_request" });
  try {
    await body();
  } finally {
    await fetch(`${provider}/fake/fault`, { method: "DELETE" });
  }
}

const user = [{ role: "user", content: "Count." }];
const asks = [{ role: "user", content: "Please call weather" }];

for (const route of ROUTES) {
  describe(`openai, answered by ${route}`, () => {
    const client = () => new OpenAI({ baseURL: `${url}/v1`, apiKey: "x", maxRetries: 0 });
    const tools = [{ type: "function", function: { name: "weather", parameters: SCHEMA } }];

    test("plain", async () => {
      const answer = await client().chat.completions.create({ model: route, messages: user });
      assert.equal(answer.choices[0].message.content, WORDS);
      assert.equal(answer.choices[0].finish_reason, "stop");
      assert.equal(answer.usage.completion_tokens, 60);
    });

    test("stream", async () => {
      const stream = await client().chat.completions.create({ model: route, messages: user, stream: true });
      let text = "";
      const finishes = [];
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? "";
        if (chunk.choices[0]?.finish_reason) finishes.push(chunk.choices[0].finish_reason);
      }
      assert.equal(text, WORDS);
      assert.deepEqual(finishes, ["stop"]);
    });

    test("tool call with its result", async () => {
      const answer = await client().chat.completions.create({ model: route, messages: asks, tools });
      const message = answer.choices[0].message;
      assert.equal(message.tool_calls[0].function.name, "weather");
      assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), ARGUMENTS);
      const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" };
      const messages = [...asks, message, result];
      const next = await client().chat.completions.create({ model: route, messages, tools });
      assert.equal(next.choices[0].message.content, WORDS);
    });

    test("error", () =>
      whileFailing(route, () =>
        assert.rejects(client().chat.completions.create({ model: route, messages: user }), (error) => {
          assert.ok(error instanceof OpenAI.BadRequestError);
          assert.match(error.message, /temperature/);
          return true;
        }),
      ));
  });

  describe(`openai responses, answered by ${route}`, () => {
    const client = () => new OpenAI({ baseURL: `${url}/v1`, apiKey: "x", maxRetries: 0 });
    const tools = [{ type: "function", name: "weather", parameters: SCHEMA, strict: false }];

    test("plain", async () => {
      const answer = await client().responses.create({ model: route, input: "Count." });
      assert.equal(answer.output_text, WORDS);
      assert.equal(answer.status, "completed");
      assert.equal(answer.usage.output_tokens, 60);
    });

    test("stream", async () => {
      const events = [];
      for await (const event of await client().responses.create({ model: route, input: user, stream: true })) {
        events.push(event);
      }
      assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
      assert.equal(events[0].type, "response.created");
      assert.equal(events.at(-1).type, "response.completed");
      const deltas = events.filter((event) => event.type === "response.output_text.delta");
      assert.equal(deltas.map((event) => event.delta).join(""), WORDS);
      assert.equal(events.at(-1).response.usage.output_tokens, 60);
    });

    test("tool call with its result", async () => {
      const stream = client().responses.stream({ model: route, input: asks, tools });
      const answer = await stream.finalResponse();
      const call = answer.output.find((item) => item.type === "function_call");
      assert.deepEqual([call.name, JSON.parse(call.arguments)], ["weather", ARGUMENTS]);
      const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
      const input = [...asks, ...answer.output, result];
      const next = await client().responses.create({ model: route, input, tools, store: false });
      assert.equal(next.output_text, WORDS);
    });

    test("error", async () => {
      await whileFailing(route, async () => {
        const asked = client().responses.create({ model: route, input: "Count." });
        await assert.rejects(asked, (error) => error.status === 400 && /temperature/.test(error.message));
      });
    });
  });

  describe(`anthropic, answered by ${route}`, () => {
    const client = () => new Anthropic({ baseURL: url, apiKey: "x", maxRetries: 0 });
    const tools = [{ name: "weather", input_schema: SCHEMA }];
    const common = { model: route, max_tokens: 100 };

    test("plain", async () => {
      const answer = await client().messages.create({ ...common, messages: user });
      assert.equal(answer.content[0].text, WORDS);
      assert.equal(answer.stop_reason, "end_turn");
      assert.equal(answer.usage.output_tokens, 60);
    });

    test("stream", async () => {
      const answer = await client().messages.stream({ ...common, messages: user }).finalMessage();
      assert.equal(answer.content[0].text, WORDS);
      assert.equal(answer.stop_reason, "end_turn");
    });

    test("tool call with its result", async () => {
      const answer = await client().messages.create({ ...common, messages: asks, tools });
      const call = answer.content.find((block) => block.type === "tool_use");
      assert.equal(call.name, "weather");
      assert.deepEqual(call.input, ARGUMENTS);
      const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
      const messages = [...asks, { role: "assistant", content: answer.content }, { role: "user", content: [result] }];
      const next = await client().messages.create({ ...common, messages, tools });
      assert.equal(next.content[0].text, WORDS);
    });

    test("error", () =>
      whileFailing(route, () =>
        assert.rejects(client().messages.create({ ...common, messages: user }), (error) => {
          assert.ok(error instanceof Anthropic.BadRequestError);
          assert.match(error.message, /temperature/);
          return true;
        }),
      ));
  });

  describe(`gemini, answered by ${route}`, () => {
    const client = () => new GoogleGenAI({ apiKey: "x", httpOptions: { baseUrl: url } });
    const config = { tools: [{ functionDeclarations: [{ name: "weather", parametersJsonSchema: SCHEMA }] }] };

    test("plain", async () => {
      const answer = await client().models.generateContent({ model: route, contents: "Count." });
      assert.equal(answer.text, WORDS);
      assert.equal(answer.candidates[0].finishReason, "STOP");
      assert.equal(answer.usageMetadata.candidatesTokenCount, 60);
    });

    test("stream", async () => {
      const stream = await client().models.generateContentStream({ model: route, contents: "Count." });
      let text = "";
      let last;
      for await (const chunk of stream) {
        text += chunk.text ?? "";
        last = chunk;
      }
      assert.equal(text, WORDS);
      assert.equal(last.candidates[0].finishReason, "STOP");
    });

    test("tool call with its result", async () => {
      const ask = { role: "user", parts: [{ text: "Please call weather" }] };
      const answer = await client().models.generateContent({ model: route, contents: [ask], config });
      const call = answer.functionCalls[0];
      assert.equal(call.name, "weather");
      assert.deepEqual(call.args, ARGUMENTS);
      const response = { id: call.id, name: "weather", response: { result: "sunny" } };
      const result = { role: "user", parts: [{ functionResponse: response }] };
      const contents = [ask, answer.candidates[0].content, result];
      const next = await client().models.generateContent({ model: route, contents, config });
      assert.equal(next.text, WORDS);
    });

    test("error", () =>
      whileFailing(route, () =>
        assert.rejects(client().models.generateContent({ model: route, contents: "Count." }), (error) => {
          assert.equal(error.status, 400);
          assert.match(error.message, /temperature/);
          return true;
        }),
      ));
  });
}
