"""A pack in Python with one tool: it tells how many people starred a repository on GitHub."""

from typing import Annotated, TypedDict

from rig_pack import http, tool


class Repository(TypedDict):
    full_name: Annotated[str, "Its owner and its name"]
    stargazers_count: Annotated[int, "How many people starred it"]


@tool(
    "stars-python.repo.get",
    title="Stars of a repository",
    risk="read",
    tags=["github"],
    slots=["GITHUB_TOKEN"],
    idempotent=True,
    examples=[("The Rust compiler", {"owner": "rust-lang", "name": "rust"})],
)
def get(
    owner: Annotated[str, "Who the repository belongs to"],
    name: Annotated[str, "The name of the repository"],
) -> Repository:
    """Tells how many people starred a repository on GitHub."""
    response = http.get("https://api.github.com", path=["repos", owner, name], headers={"user-agent": "rig"})
    if not response.ok:
        raise response.failure(f"GitHub answered {response.status}", "check the owner and the name")
    repository = response.json()
    return {"full_name": repository["full_name"], "stargazers_count": repository["stargazers_count"]}
