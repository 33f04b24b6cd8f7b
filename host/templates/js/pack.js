// Two tools: one asks a web API, the other only computes.

import { ToolError, http, tool } from "./rig-pack.js";

tool({
    name: "{{id}}.repo.get",
    title: "Look at a repository",
    description: "Tells how many people starred a repository on GitHub, and in which language most of it is written.",
    risk: "read",
    tags: ["github"],
    idempotent: true,
    input: {
        owner: { type: "string", description: "Who the repository belongs to" },
        name: { type: "string", description: "The name of the repository" },
    },
    output: {
        full_name: { type: "string", description: "Its owner and its name" },
        stargazers_count: { type: "integer", description: "How many people starred it" },
        language: {
            type: ["string", "null"],
            description: "The language that most of it is written in; null when there is none",
        },
    },
    examples: [{ description: "The Rust compiler", args: { owner: "rust-lang", name: "rust" } }],
    run({ owner, name }) {
        const response = http.get("https://api.github.com", { path: ["repos", owner, name] });
        if (response.status === 404) {
            throw new ToolError("not_found", `GitHub has no public repository ${owner}/${name}`, { code: 404 });
        }
        if (!response.ok) throw response.failure(`GitHub answered ${response.status}`);
        const { full_name, stargazers_count, language } = response.json();
        return { full_name, stargazers_count, language };
    },
});

tool({
    name: "{{id}}.text.count",
    title: "Count words",
    description: "Counts the words and the characters of a text.",
    risk: "read",
    tags: ["text"],
    idempotent: true,
    input: { text: { type: "string", description: "The text" } },
    output: {
        words: { type: "integer", description: "How many words there are" },
        characters: { type: "integer", description: "How many characters there are, spaces included" },
    },
    examples: [{ description: "A short text", args: { text: "to be or not to be" } }],
    run({ text }) {
        const words = text.split(/\s+/).filter(Boolean).length;
        if (words === 0) {
            throw new ToolError("validation_error", "the text has no words", { hints: ["send a text with at least one word"] });
        }
        return { words, characters: [...text].length };
    },
});
