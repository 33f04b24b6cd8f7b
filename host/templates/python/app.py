"""Two tools: one asks a web API, the other only computes."""

from typing import Annotated, TypedDict

from rig_pack import Error, http, tool


class Repository(TypedDict):
    full_name: Annotated[str, "Its owner and its name"]
    stargazers_count: Annotated[int, "How many people starred it"]
    language: Annotated[str | None, "The language that most of it is written in; null when there is none"]


@tool(
    "{{id}}.repo.get",
    title="Look at a repository",
    risk="read",
    tags=["github"],
    idempotent=True,
    examples=[("The Rust compiler", {"owner": "rust-lang", "name": "rust"})],
)
def get_repo(
    owner: Annotated[str, "Who the repository belongs to"],
    name: Annotated[str, "The name of the repository"],
) -> Repository:
    """Tells how many people starred a repository on GitHub, and in which language most of it is written."""
    response = http.get("https://api.github.com", path=["repos", owner, name])
    if response.status == 404:
        raise Error("not_found", f"GitHub has no public repository {owner}/{name}", code=404)
    if not response.ok:
        raise response.failure(f"GitHub answered {response.status}")
    repository = response.json()
    return {key: repository[key] for key in ("full_name", "stargazers_count", "language")}


class Counts(TypedDict):
    words: Annotated[int, "How many words there are"]
    characters: Annotated[int, "How many characters there are, spaces included"]


@tool(
    "{{id}}.text.count",
    title="Count words",
    risk="read",
    tags=["text"],
    idempotent=True,
    examples=[("A short text", {"text": "to be or not to be"})],
)
def count(text: Annotated[str, "The text"]) -> Counts:
    """Counts the words and the characters of a text."""
    words = len(text.split())
    if words == 0:
        raise Error("validation_error", "the text has no words", "send a text with at least one word")
    return {"words": words, "characters": len(text)}
