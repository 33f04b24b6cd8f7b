// Hosts one pack for Node: reads requests, runs its tools, writes answers.
//
// Messages are JSON-RPC 2.0, each after its length as four bytes, big-endian. The pack's code is imported by the request `start` and not
// before. Whatever the pack writes to stdout or stderr is its log: the pipes of the conversation are moved away from descriptors 0 and 1
// first. No policy is decided here; what a pack can reach is decided by what is around this process.

import { AsyncLocalStorage } from "node:async_hooks";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";

// A request is never larger: the host refuses larger arguments.
const MAX_FRAME = 64 << 20;
// Of the text of an exception that becomes a message.
const MAX_MESSAGE = 500;
const KINDS = new Set([
  "validation_error", "auth_error", "permission_error", "not_found", "conflict", "rate_limited", "transient", "timeout",
  "upstream_error", "policy_blocked", "approval_required", "internal_error",
]);

const running = new AsyncLocalStorage();
// Kept from the pack, which may replace them.
const { parse, stringify } = JSON;
const { writeSync } = fs;
const exit = process.exit.bind(process);

/** A second descriptor for the pipe behind one, which then is what `instead` names. */
function moved(descriptor, flags, instead, insteadFlags) {
  try {
    const copy = fs.openSync(`/proc/self/fd/${descriptor}`, flags);
    fs.closeSync(descriptor);
    // The lowest free descriptor is the one that was just closed.
    fs.openSync(instead, insteadFlags);
    return copy;
  } catch {
    // Without /proc the pipe stays where it is; what does not come from here lacks the key and ends the process.
    return descriptor;
  }
}

const sink = moved(1, "w", "/proc/self/fd/2", "w");
const source = moved(0, "r", "/dev/null", "r");

let key = null;

function write(message) {
  const body = Buffer.from(stringify({ jsonrpc: "2.0", key, ...message }));
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, 4);
  for (let at = 0; at < frame.length; ) at += writeSync(sink, frame, at);
}

function log(level, text) {
  for (const line of String(text).replace(/\n$/, "").split("\n")) {
    write({ method: "log", params: { id: running.getStore()?.id ?? null, level, message: line } });
  }
}

for (const [stream, level] of [[process.stdout, "info"], [process.stderr, "warn"]]) {
  stream.write = (chunk, encoding, done) => {
    log(level, typeof chunk === "string" ? chunk : Buffer.from(chunk).toString());
    const callback = typeof encoding === "function" ? encoding : done;
    if (callback) process.nextTick(callback);
    return true;
  };
}

class StartError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

function described(error) {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.split("\n")[0].slice(0, MAX_MESSAGE);
}

const calls = new Map();
let pack = null;

async function load({ paths: [folder], package: name }) {
  const about = parse(fs.readFileSync(path.join(folder, "node_modules", name, "package.json"), "utf8"));
  let module;
  try {
    // Beside the folder of packages, so that the name is found the way that Node finds it, for both kinds of modules.
    module = (await import(pathToFileURL(path.join(folder, "entry.mjs")))).default;
  } catch (error) {
    log("error", error?.stack ?? error);
    throw new StartError("import", `loading ${name} failed with ${described(error)}`);
  }
  const find = (wanted) => {
    const found = module[wanted] ?? module.default?.[wanted];
    if (typeof found !== "function") throw new StartError("contract", `${name} exports no function ${wanted}`);
    return found.bind(module.default ?? module);
  };
  const ask = async (wanted) => {
    const found = find(wanted);
    try {
      return await found();
    } catch (error) {
      log("error", error?.stack ?? error);
      throw new StartError("contract", `${wanted}() failed with ${described(error)}`);
    }
  };
  const said = await ask("rigPack");
  if (typeof said?.name !== "string" || typeof said?.version !== "string") {
    throw new StartError("contract", "rigPack() does not answer an object with the texts name and version");
  }
  const tools = await ask("rigTools");
  if (!Array.isArray(tools)) throw new StartError("contract", "rigTools() does not answer an array");
  pack = { invoke: find("rigInvoke") };
  return { about: { name: said.name, version: said.version, distribution: about.version }, tools };
}

async function start(id, params) {
  key = params.key;
  try {
    write({ id, result: await load(params) });
  } catch (error) {
    write({ id, error: { code: 1, message: error.message, data: { kind: error.kind ?? "contract" } } });
  }
}

/** The error of the tool types behind something that was thrown, if there is one. */
function typed(thrown) {
  for (const candidate of [thrown?.err, thrown?.toolError, thrown?.error, thrown]) {
    if (candidate && typeof candidate === "object" && KINDS.has(candidate.type)) {
      const { type, message, retryable, upstream_code, remediation_hints } = candidate;
      return { type, message, retryable, upstream_code, remediation_hints };
    }
  }
  return null;
}

const refused = (data) => ({ error: { code: 2, message: "", data } });
const internal = (message) => refused({ type: "internal_error", message, retryable: false });

async function call(id, { tool, args, secrets, context }) {
  const stop = new AbortController();
  calls.set(id, stop);
  let answer;
  try {
    const output = await pack.invoke(tool, args, { ...context, auth: secrets, signal: stop.signal });
    answer = { result: output ?? null };
    if (output && typeof output === "object" && "ok" in output && "output" in output && "error" in output) {
      // A whole result instead of an output.
      answer = output.ok ? { result: output.output } : refused(typed(output.error) ?? { type: "internal_error" });
    }
  } catch (error) {
    const told = typed(error);
    if (stop.signal.aborted && !told) {
      answer = { error: { code: 3, message: "cancelled" } };
    } else if (told) {
      answer = refused(told);
    } else {
      log("error", error?.stack ?? error);
      answer = internal(`\`${tool}\` failed with ${described(error)}`);
    }
  } finally {
    calls.delete(id);
  }
  try {
    write({ id, ...answer });
  } catch (error) {
    write({ id, ...internal(`its answer is not JSON: ${described(error)}`) });
  }
}

function take({ id, method, params }) {
  switch (method) {
    case "call":
      running.run({ id }, call, id, params);
      break;
    case "cancel":
      calls.get(params.id)?.abort();
      break;
    case "ping":
      write({ id, result: {} });
      break;
    case "start":
      start(id, params);
      break;
  }
}

// A promise that a pack forgot must not end all of its calls.
process.on("unhandledRejection", (error) => log("error", error?.stack ?? error));

let pending = Buffer.alloc(0);
const input = new net.Socket({ fd: source, readable: true, writable: false });
input.on("data", (chunk) => {
  pending = pending.length ? Buffer.concat([pending, chunk]) : chunk;
  while (pending.length >= 4) {
    const size = pending.readUInt32BE(0);
    if (size > MAX_FRAME) exit(1);
    if (pending.length < 4 + size) break;
    const message = parse(pending.toString("utf8", 4, 4 + size));
    pending = pending.subarray(4 + size);
    take(message);
  }
});
// Without a host there is nothing to do; what the pack still runs does not hold the process.
input.on("close", () => exit(0));
