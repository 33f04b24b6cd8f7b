// Messages of Slack, by its own SDK, which queues its requests and has a logger: CommonJS, with one object as its export.

const { WebClient, LogLevel } = require("@slack/web-api");

const KINDS = { invalid_auth: "auth_error", channel_not_found: "not_found" };
const clients = new Map();

// One client for each token, kept from call to call.
function client(token) {
  if (!clients.has(token)) clients.set(token, new WebClient(token, { logLevel: LogLevel.DEBUG, retryConfig: { retries: 0 } }));
  return clients.get(token);
}

const text = { type: "string" };
const tool = (name, description, properties, risk_class, impl) => ({
  impl,
  def: {
    name,
    description,
    risk_class,
    auth_slots: ["SLACK_BOT_TOKEN"],
    input_schema: { type: "object", properties, required: Object.keys(properties) },
  },
});

const tools = [
  tool("chat.messages.post", "Posts a message.", { channel: text, text }, "write", async (slack, args) => {
    const { channel, ts } = await slack.chat.postMessage(args);
    return { channel, ts };
  }),
  tool("chat.channels.list", "Names all channels.", {}, "read", async (slack) => {
    const names = [];
    for await (const page of slack.paginate("conversations.list", { limit: 2 })) names.push(...page.channels.map(({ name }) => name));
    return { names };
  }),
  tool("chat.files.upload", "Uploads a file.", { content: text }, "write", async (slack, { content }) => {
    return { ok: (await slack.filesUploadV2({ content, filename: "notes.txt" })).ok };
  }),
];

module.exports = {
  rigPack: () => ({ name: "chat", version: "1.0.0" }),
  rigTools: () => tools.map(({ def }) => def),
  async rigInvoke(name, args, { auth }) {
    try {
      return await tools.find(({ def }) => def.name === name).impl(client(auth.SLACK_BOT_TOKEN), args);
    } catch (error) {
      const code = error.data?.error;
      if (!code) throw error;
      throw Object.assign(new Error(`Slack says ${code}`), { type: KINDS[code] ?? "upstream_error", upstream_code: code });
    }
  },
};
