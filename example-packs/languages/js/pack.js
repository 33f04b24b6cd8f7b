// A pack in JavaScript with one tool: it tells how many people starred a repository on GitHub.

import { http, tool } from "./rig-pack.js";

tool({
    name: "stars-js.repo.get",
    title: "Stars of a repository",
    description: "Tells how many people starred a repository on GitHub.",
    risk: "read",
    tags: ["github"],
    slots: ["GITHUB_TOKEN"],
    idempotent: true,
    input: {
        owner: { type: "string", description: "Who the repository belongs to" },
        name: { type: "string", description: "The name of the repository" },
    },
    output: {
        full_name: { type: "string", description: "Its owner and its name" },
        stargazers_count: { type: "integer", description: "How many people starred it" },
    },
    examples: [{ description: "The Rust compiler", args: { owner: "rust-lang", name: "rust" } }],
    run({ owner, name }) {
        const response = http.get("https://api.github.com", { path: ["repos", owner, name], headers: { "user-agent": "rig" } });
        if (!response.ok) throw response.failure(`GitHub answered ${response.status}`, "check the owner and the name");
        const { full_name, stargazers_count } = response.json();
        return { full_name, stargazers_count };
    },
});
