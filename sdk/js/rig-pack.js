/**
 * What the author of a pack in JavaScript uses: tools as plain functions, compiled to a component that runs in a sandbox.
 *
 *     import { http, tool } from "./rig-pack.js";
 *
 *     tool({
 *         name: "weather.current.get",
 *         description: "Tells the weather in a city.",
 *         risk: "read",
 *         slots: ["WEATHER_TOKEN"],
 *         idempotent: true,
 *         input: { city: { type: "string", description: "The name of the city" } },
 *         output: { temperature: { type: "number", description: "Degrees Celsius" } },
 *         run({ city }) {
 *             const response = http.get("https://api.example.com", { path: ["v1", city] });
 *             if (!response.ok) throw response.failure(`the weather service answered ${response.status}`);
 *             return { temperature: response.json().temperature };
 *         },
 *     });
 *
 * `input` and `output` are the properties of JSON Schemas. A property is required unless it says `optional: true`; a property of
 * the input with a `default` is optional and gets it. `inputSchema` and `outputSchema` are whole schemas, for what properties cannot
 * say. `run` gets the arguments and the context of the call.
 *
 * `rig build` puts this file beside the pack's. There is no Node here: no `fetch`, no `require`, no timers; what there is, is in
 * this file and in the language.
 */
import { config as hostConfig, http as hostHttp, log as hostLog } from "./rig-host.js";

/** The kinds of failure that an agent can act on, and whether they pass by themselves. */
const KINDS = {
    validation_error: false, auth_error: false, permission_error: false, not_found: false, conflict: false, rate_limited: true,
    transient: true, timeout: true, upstream_error: false, policy_blocked: false, approval_required: false, internal_error: false,
};

/** How risky a call of a tool can be. */
const RISKS = ["read", "write", "infra", "money", "destructive"];

/** The tools of the pack, in the order in which they were defined. */
export const defined = [];

/** Why a call failed. Thrown by tools. The message is one sentence; hints say what can be done, most useful first. */
export class ToolError extends Error {
    constructor(kind, message, { hints = [], code = null, retryable } = {}) {
        super(message);
        if (!(kind in KINDS)) throw new TypeError(`${kind} is no kind of error: the kinds are ${Object.keys(KINDS).join(", ")}`);
        this.kind = kind;
        this.hints = hints;
        this.code = code === null ? null : String(code);
        this.retryable = retryable ?? KINDS[kind];
    }
}

/** Makes a tool. */
export function tool(definition) {
    const { name, risk, run } = definition;
    if (typeof name !== "string") throw new TypeError("a tool needs a `name`");
    if (!RISKS.includes(risk)) throw new TypeError(`${name}: \`risk\` is ${RISKS.join(", ")}, not ${risk}`);
    if (typeof run !== "function") throw new TypeError(`${name}: \`run\` is the function that a call runs`);
    defined.push(definition);
    return definition.run;
}

/** Requests to the hosts that rig-pack.toml names. Secrets are added by the host: there is nothing to do for them here. */
export const http = {
    /**
     * Sends a request and waits for the whole response. A response with an error status is a response.
     *
     * `path` is a list of segments, each percent-encoded, so that none can change the URL; fields of `query` and `form` that are
     * null or undefined are left out. `json` is any value; `body` is a text or a Uint8Array; `timeout` is in seconds.
     */
    send(method, url, { path = [], query, headers = {}, json, form, body, timeout } = {}) {
        for (const segment of path.map(String)) {
            if (["", ".", ".."].includes(segment)) {
                const shown = segment ? `\`${segment}\`` : "an empty text";
                throw new ToolError("validation_error", `${shown} cannot be part of a URL's path`);
            }
            url = `${url.replace(/\/+$/, "")}/${percent(segment)}`;
        }
        const search = fields(query);
        if (search) url += (url.includes("?") ? "&" : "?") + search;
        const list = Object.entries(headers);
        const typed = (type) => list.some(([name]) => name.toLowerCase() === "content-type") || list.push(["content-type", type]);
        if (json !== undefined) {
            body = JSON.stringify(json);
            typed("application/json");
        } else if (form !== undefined) {
            body = fields(form);
            typed("application/x-www-form-urlencoded");
        }
        const bytes = body === undefined || body === null ? null : typeof body === "string" ? encodeText(body) : body;
        const timeoutMs = timeout === undefined ? null : Math.round(timeout * 1000);
        let answer;
        try {
            answer = hostHttp.send({ method, url, headers: list, body: bytes, timeoutMs });
        } catch (error) {
            throw noResponse(error);
        }
        return new Response(answer.status, answer.headers, answer.body);
    },
    get: (url, more) => http.send("GET", url, more),
    post: (url, more) => http.send("POST", url, more),
};

/** A response, whole. Header names are in lower case. */
export class Response {
    constructor(status, headers, body) {
        Object.assign(this, { status, headers, body });
    }

    /** Whether the status is 2xx. */
    get ok() {
        return this.status >= 200 && this.status < 300;
    }

    /** The first header of that name, or undefined. */
    header(name) {
        return this.headers.find(([key]) => key === name.toLowerCase())?.[1];
    }

    /** The body as text; an `upstream_error` when it is not UTF-8. */
    text() {
        try {
            return decodeText(this.body);
        } catch {
            throw this.#nonsense("text that is not UTF-8");
        }
    }

    /** The body as JSON; an `upstream_error` when it is not. */
    json() {
        const text = this.text();
        try {
            return JSON.parse(text);
        } catch (error) {
            throw this.#nonsense(`an unexpected body: ${error.message}`);
        }
    }

    /** The error that the status stands for: 401 is `auth_error`, 404 `not_found`, 429 `rate_limited` and so on. */
    failure(message, ...hints) {
        const passing = [408, 425, 429, 500, 502, 503, 504].includes(this.status);
        const wait = passing ? (this.header("retry-after") ?? "").trim() : "";
        if (wait) hints.push(/^\d+$/.test(wait) ? `retry after ${wait} s` : `retry after ${wait.slice(0, 64)}`);
        return new ToolError(kindOf(this.status), message, { hints, code: this.status, retryable: passing });
    }

    #nonsense(what) {
        return new ToolError("upstream_error", `the service answered with status ${this.status} and ${what}`, { code: this.status });
    }
}

function kindOf(status) {
    const kinds = {
        401: "auth_error", 402: "permission_error", 403: "permission_error", 404: "not_found", 407: "auth_error", 408: "timeout",
        409: "conflict", 410: "not_found", 412: "conflict", 423: "conflict", 425: "transient", 429: "rate_limited",
        451: "permission_error", 502: "transient", 503: "transient", 504: "transient",
    };
    return kinds[status] ?? (status >= 400 && status < 500 ? "validation_error" : "upstream_error");
}

function noResponse(error) {
    const { tag, val } = error?.payload ?? error ?? {};
    const kinds = {
        denied: ["permission_error", "the request is not granted"],
        "invalid-request": ["internal_error", "the request is malformed"],
        dns: ["transient", "the host's name does not resolve"],
        connect: ["transient", "the host cannot be reached"],
        tls: ["upstream_error", "the host's certificate or TLS is at fault"],
        timeout: ["timeout", "the host did not answer in time"],
        "too-large": ["upstream_error", "the request or the response is too large"],
        protocol: ["upstream_error", "the host broke the protocol"],
    };
    if (!(tag in kinds)) return error;
    const [kind, meaning] = kinds[tag];
    return new ToolError(kind, `${meaning}: ${val}`);
}

const percent = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

function fields(values) {
    const entries = (Array.isArray(values) ? values : Object.entries(values ?? {})).filter(([, value]) => value != null);
    const name = (text) => percent(text).replace(/%5B/g, "[").replace(/%5D/g, "]");
    return entries.map(([key, value]) => `${name(key)}=${percent(String(value)).replace(/%20/g, "+")}`).join("&");
}

/** UTF-8, without the TextEncoder that this runtime may not have. */
function encodeText(text) {
    const escaped = encodeURIComponent(text.toWellFormed?.() ?? text);
    const bytes = [];
    for (let i = 0; i < escaped.length; i++) {
        if (escaped[i] === "%") {
            bytes.push(parseInt(escaped.slice(i + 1, i + 3), 16));
            i += 2;
        } else bytes.push(escaped.charCodeAt(i));
    }
    return new Uint8Array(bytes);
}

function decodeText(bytes) {
    const chunks = [];
    for (const byte of bytes) {
        chunks.push(byte < 0x80 && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`);
    }
    return decodeURIComponent(chunks.join(""));
}

/** The value of a setting that rig-pack.toml declares, or null. */
export const config = (name) => hostConfig.get(name) ?? null;

/** Writes a line to the pack's log: `debug`, `info`, `warn` or `error`. */
export const log = (message, level = "info") => hostLog.write(level, String(message));

function schema(properties, whole, closed) {
    if (whole) return whole;
    const required = [];
    const shown = {};
    for (const [name, { optional, ...property }] of Object.entries(properties ?? {})) {
        shown[name] = property;
        if (!optional && !("default" in property && closed)) required.push(name);
    }
    const object = { type: "object", properties: shown };
    if (closed) object.additionalProperties = false;
    if (required.length) object.required = required;
    return object;
}

/** What the component exports. */
export const tools = {
    describe: () =>
        defined.map((tool) => ({
            name: tool.name,
            title: tool.title ?? "",
            description: tool.description ?? "",
            inputSchema: JSON.stringify(schema(tool.input, tool.inputSchema, true)),
            outputSchema: JSON.stringify(schema(tool.output, tool.outputSchema, false)),
            errorSchema: "{}",
            authSlots: tool.slots ?? [],
            riskClass: tool.risk,
            tags: tool.tags ?? [],
            idempotent: tool.idempotent ?? false,
            policyDefaults: JSON.stringify(tool.policyDefaults ?? {}),
            examples: (tool.examples ?? []).map(({ description, args, output }) => ({
                description,
                args: JSON.stringify(args),
                output: output === undefined ? null : JSON.stringify(output),
            })),
        })),

    call(name, args, context) {
        try {
            return JSON.stringify(call(name, JSON.parse(args), context));
        } catch (error) {
            if (error instanceof ToolError) {
                const { kind, message, retryable, code, hints } = error;
                throw { kind: kind.replace(/_/g, "-"), message, retryable, upstreamCode: code, remediationHints: hints };
            }
            // The fault of the pack. What it was goes to the log, for its author.
            log(`${error}\n${error?.stack ?? ""}`, "error");
            const message = `the pack failed with ${error?.name ?? "an error"}`;
            const remediationHints = ["the pack's log says where"];
            throw { kind: "internal-error", message, retryable: false, upstreamCode: null, remediationHints };
        }
    },
};

/** Calls a tool. */
export function call(name, args, context) {
    const tool = defined.find((tool) => tool.name === name);
    if (!tool) throw new ToolError("not_found", `the pack has no tool named ${name}`);
    for (const [key, property] of Object.entries(tool.input ?? {})) {
        if (!(key in args) && "default" in property) args[key] = property.default;
    }
    return tool.run(args, context);
}
