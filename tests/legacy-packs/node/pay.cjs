// Customers of Stripe, by Stripe's own SDK: CommonJS.

const Stripe = require("stripe");

const KINDS = { 401: "auth_error", 403: "permission_error", 404: "not_found", 409: "conflict", 429: "rate_limited" };
const text = { type: "string" };
const schema = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required });
const shown = ({ id, email }) => ({ id, email });

const tools = {
  "pay.customers.list": {
    description: "Lists customers.",
    input_schema: schema({ limit: { type: "integer" } }, []),
    run: async (stripe, { limit = 10 }) => {
      const customers = [];
      // The SDK goes from page to page.
      for await (const customer of stripe.customers.list({ limit })) customers.push(shown(customer));
      return { customers };
    },
  },
  "pay.customers.create": {
    description: "Creates a customer.",
    input_schema: schema({ email: text }),
    risk_class: "write",
    run: async (stripe, { email }) => shown(await stripe.customers.create({ email, metadata: { by: "pay" } })),
  },
  "pay.customers.retrieve": {
    description: "Looks a customer up.",
    input_schema: schema({ id: text }),
    run: async (stripe, { id }) => shown(await stripe.customers.retrieve(id)),
  },
  "pay.files.create": {
    description: "Sends a file, to files.stripe.com.",
    input_schema: schema({ content: text }),
    risk_class: "write",
    run: async (stripe, { content }) => {
      const file = { data: Buffer.from(content), name: "file.txt", type: "text/plain" };
      return { id: (await stripe.files.create({ purpose: "dispute_evidence", file })).id };
    },
  },
};

exports.rigPack = () => ({ name: "pay", version: "1.0.0" });

exports.rigTools = () =>
  Object.entries(tools).map(([name, { run, ...tool }]) => ({ name, risk_class: "read", auth_slots: ["STRIPE_API_KEY"], ...tool }));

exports.rigInvoke = async (name, args, context) => {
  const stripe = new Stripe(context.auth.STRIPE_API_KEY, { maxNetworkRetries: 0 });
  try {
    return await tools[name].run(stripe, args);
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    const lost = error instanceof Stripe.errors.StripeConnectionError;
    const type = lost ? "transient" : KINDS[error.statusCode] ?? "validation_error";
    throw { type, message: error.message, retryable: lost, upstream_code: error.code };
  }
};
