// Drives an MCP server with the official TypeScript client and prints one JSON object of what the client saw.
//
// The only argument is a plan, a JSON object:
//   sdk          "v1" (@modelcontextprotocol/sdk) or "v2" (@modelcontextprotocol/client)
//   protocol     v2 only: "legacy" (its default), "auto", or a revision to insist on
//   url, headers Streamable HTTP; else:
//   command, args, cwd, env   stdio
//   elicitation  the answer to every question of the server: { action, content }; absent: the client cannot be asked; with
//                yes: true, every field of the question that wants yes or no is answered with yes
//   steps        what to do, in order; each leaves an object in the output's `steps`:
//     { list: true }                     the tools, all pages
//     { call: { name, arguments } }      with progress: true, timeoutMs, and cancelAfterMs or cancelOnProgress: true
//     { together: [step, …] }            at once; all their objects, in order
//     { exec: [program, …], cwd, env }   runs a program to its end: something that changes what the server has
//     { waitListChanged: n, withinMs }   waits until that many notices of changed tools came in all
//
// What fails is part of the output, not a failure of this program: a step then has `error` { name, code, message }.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const plan = JSON.parse(process.argv[2]);
const isV2 = plan.sdk === 'v2';
const { Client, ElicitRequestSchema, StdioClientTransport, StreamableHTTPClientTransport, ToolListChangedNotificationSchema } =
    isV2
        ? { ...(await import('@modelcontextprotocol/client')), ...(await import('@modelcontextprotocol/client/stdio')) }
        : {
              ...(await import('@modelcontextprotocol/sdk/client/index.js')),
              ...(await import('@modelcontextprotocol/sdk/client/stdio.js')),
              ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
              ...(await import('@modelcontextprotocol/sdk/types.js'))
          };

const seen = { client: `typescript-${plan.sdk}`, steps: [], elicitations: [], listChanged: 0, errors: [] };

function connectTransport() {
    if (plan.url) {
        return new StreamableHTTPClientTransport(new URL(plan.url), { requestInit: { headers: plan.headers ?? {} } });
    }
    return new StdioClientTransport({
        command: plan.command,
        args: plan.args,
        cwd: plan.cwd,
        env: plan.env,
        stderr: 'inherit'
    });
}

function makeClient() {
    const capabilities = plan.elicitation ? { elicitation: { form: {} } } : {};
    const options = { capabilities };
    if (isV2) {
        options.versionNegotiation = {
            mode: ['legacy', 'auto', undefined].includes(plan.protocol) ? plan.protocol : { pin: plan.protocol }
        };
        // On the stateless revision, notices come only to those who listen; this makes the client listen.
        if (plan.steps.some(step => step.waitListChanged)) {
            options.listChanged = { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => seen.listChanged++ } };
        }
    }
    const client = new Client({ name: 'rig-test', version: '1.0.0' }, options);
    client.onerror = error => seen.errors.push(String(error));
    if (!isV2) {
        client.setNotificationHandler(ToolListChangedNotificationSchema, () => seen.listChanged++);
    }
    if (plan.elicitation) {
        client.setRequestHandler(isV2 ? 'elicitation/create' : ElicitRequestSchema, request => {
            seen.elicitations.push(request.params);
            return answer(plan.elicitation, request.params.requestedSchema);
        });
    }
    return client;
}

function answer({ action, content, yes }, schema) {
    if (action !== 'accept') return { action };
    const fields = Object.entries(schema.properties).filter(([, field]) => yes && field.type === 'boolean');
    return { action, content: { ...Object.fromEntries(fields.map(([name]) => [name, true])), ...content } };
}

async function call(client, step) {
    const { call, progress, timeoutMs, cancelAfterMs, cancelOnProgress } = step;
    const found = { progress: [] };
    const abort = new AbortController();
    const options = { signal: abort.signal, timeout: timeoutMs ?? 30_000 };
    if (progress || cancelOnProgress) {
        options.onprogress = notice => {
            found.progress.push(notice);
            if (cancelOnProgress) abort.abort('the test cancels');
        };
    }
    const timer = cancelAfterMs === undefined ? undefined : setTimeout(() => abort.abort('the test cancels'), cancelAfterMs);
    const started = performance.now();
    try {
        const params = { name: call.name, arguments: call.arguments ?? {} };
        const result = isV2 ? await client.callTool(params, options) : await client.callTool(params, undefined, options);
        Object.assign(found, { result });
    } catch (error) {
        Object.assign(found, { error: described(error), cancelled: abort.signal.aborted });
    } finally {
        clearTimeout(timer);
    }
    return { ...found, ms: Math.round(performance.now() - started) };
}

async function list(client) {
    // v2 keeps a list for as long as the server says that it is fresh; a test wants to know what the server says now.
    if (isV2) return { tools: (await client.listTools(undefined, { cacheMode: 'refresh' })).tools };
    const tools = [];
    let cursor;
    do {
        const page = await client.listTools(cursor === undefined ? undefined : { cursor });
        tools.push(...page.tools);
        cursor = page.nextCursor;
    } while (cursor !== undefined);
    return { tools };
}

async function waitListChanged(count, withinMs) {
    const end = performance.now() + withinMs;
    while (seen.listChanged < count && performance.now() < end) {
        await new Promise(resolve => setTimeout(resolve, 10));
    }
    return { listChanged: seen.listChanged };
}

async function exec([program, ...args], { cwd, env }) {
    const { stdout, stderr } = await promisify(execFile)(program, args, { cwd, env });
    return { stdout, stderr };
}

async function run(client, step) {
    try {
        if (step.list) return await list(client);
        if (step.call) return await call(client, step);
        if (step.together) return { together: await Promise.all(step.together.map(one => run(client, one))) };
        if (step.exec) return await exec(step.exec, step);
        if (step.waitListChanged) return await waitListChanged(step.waitListChanged, step.withinMs ?? 30_000);
        throw new Error(`not a step: ${JSON.stringify(step)}`);
    } catch (error) {
        return { error: described(error) };
    }
}

function described(error) {
    return { name: error.constructor.name, code: error.code ?? null, message: String(error.message ?? error) };
}

const client = makeClient();
const transport = connectTransport();
if (!isV2) {
    // The client does not tell what was agreed on, but it tells the transport.
    const tell = transport.setProtocolVersion?.bind(transport);
    transport.setProtocolVersion = version => {
        seen.protocolVersion = version;
        tell?.(version);
    };
}
try {
    await client.connect(transport);
    seen.protocolVersion ??= client.getNegotiatedProtocolVersion?.();
    seen.server = client.getServerVersion();
    seen.capabilities = client.getServerCapabilities();
    seen.instructions = client.getInstructions() ?? null;
    for (const step of plan.steps) {
        seen.steps.push(await run(client, step));
    }
    // What the client says about streams that it closes itself is not about the server.
    client.onerror = undefined;
    await client.close();
} catch (error) {
    seen.error = described(error);
}
// The program ends when the output is written, whatever the client still holds open.
process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit(0));
