// An MCP server on the official SDK with one tool that answers what it is sent: what the bench compares rig with, and what the
// tests try their clients on. Over stdio; with `--port N` over Streamable HTTP (0: a free port; the first line on stderr names it).
//
// Its schemas are those of rig's echo pack, and its answer holds the same two forms: structured, and as text.

import { createServer } from 'node:http';

import { McpServer, createMcpHandler, fromJsonSchema } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

const fields = {
    message: { type: 'string', description: 'The message to send back.' },
    data: { type: ['object', 'null'], description: 'Any JSON object to send back with it.' }
};
const input = { type: 'object', properties: fields, required: ['message'], additionalProperties: false };
const output = { type: 'object', properties: fields, required: ['message'] };

function makeServer() {
    const server = new McpServer({ name: 'echo', version: '1.0.0' });
    server.registerTool(
        'echo_message_send',
        {
            title: 'Echo a message',
            description: 'Sends a message, and any data with it, and answers both unchanged.',
            inputSchema: fromJsonSchema(input),
            outputSchema: fromJsonSchema(output)
        },
        args => ({ structuredContent: args, content: [{ type: 'text', text: JSON.stringify(args) }] })
    );
    return server;
}

const at = process.argv.indexOf('--port');
if (at === -1) {
    serveStdio(makeServer);
} else {
    const handler = createMcpHandler(makeServer);
    const server = createServer(async (incoming, outgoing) => {
        const chunks = [];
        for await (const chunk of incoming) chunks.push(chunk);
        const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
            method: incoming.method,
            headers: incoming.headers,
            body: chunks.length === 0 ? undefined : Buffer.concat(chunks)
        });
        const answer = await handler.fetch(request);
        outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
        for await (const chunk of answer.body ?? []) outgoing.write(chunk);
        outgoing.end();
    });
    server.listen(Number(process.argv[at + 1]), '127.0.0.1', () => {
        process.stderr.write(`serving http://127.0.0.1:${server.address().port}/mcp\n`);
    });
}
