// Issues of GitHub, by Octokit, which is built on fetch: a module.

import { Octokit } from "@octokit/rest";

const KINDS = { 401: "auth_error", 403: "permission_error", 404: "not_found", 422: "validation_error", 429: "rate_limited" };

class ToolError extends Error {
  constructor(type, message, code) {
    super(message);
    // What the runner looks for.
    this.toolError = { type, message, retryable: false, upstream_code: code };
  }
}

const tool = (name, description, properties, risk_class) => ({
  name,
  description,
  risk_class,
  auth_slots: ["GITHUB_TOKEN"],
  input_schema: { type: "object", properties, required: ["owner", "repo"] },
});
const place = { owner: { type: "string" }, repo: { type: "string" } };

export const rigPack = async () => ({ name: "code", version: "1.0.0" });

export const rigTools = async () => [
  tool("code.issues.list", "Lists issues.", place, "read"),
  tool("code.issues.create", "Opens an issue.", { ...place, title: { type: "string" } }, "write"),
  tool("code.assets.upload", "Uploads an asset, to uploads.github.com.", { ...place, release: { type: "integer" } }, "write"),
];

const impls = {
  "code.issues.list": async (octokit, args) => {
    const issues = await octokit.paginate(octokit.rest.issues.listForRepo, { ...args, per_page: 2 });
    return { titles: issues.map((issue) => issue.title) };
  },
  "code.issues.create": async (octokit, args) => {
    const { data } = await octokit.rest.issues.create(args);
    // A whole result instead of an output.
    return { ok: true, output: { number: data.number }, error: null };
  },
  "code.assets.upload": async (octokit, { release, ...args }) => {
    const { data } = await octokit.rest.repos.uploadReleaseAsset({ ...args, release_id: release, name: "a.txt", data: "content" });
    return { name: data.name };
  },
};

export async function rigInvoke(name, args, context) {
  const octokit = new Octokit({ auth: context.auth.GITHUB_TOKEN, request: { signal: context.signal } });
  try {
    return await impls[name](octokit, args);
  } catch (error) {
    if (error.name !== "HttpError") throw error;
    throw new ToolError(KINDS[error.status] ?? "upstream_error", error.response?.data?.message ?? error.message, String(error.status));
  }
}
