"""The GitHub pack's tools, as calls of PyGithub."""

import os
from itertools import islice

from github import Auth, Github

from . import given

# Nothing is tried twice: the stand-in answers once.
CLIENT = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]), retry=None)


def create_issue(args):
    CLIENT.get_repo(args["repo"]).create_issue(args["title"], **given(args, "body", "labels"))


def comment_issue(args):
    CLIENT.get_repo(args["repo"]).get_issue(args["issue_number"]).create_comment(args["body"])


def create_pull(args):
    base = args.get("base", "main")
    CLIENT.get_repo(args["repo"]).create_pull(base, args["head"], title=args["title"], **given(args, "body"))


def list_pulls(args):
    limit = args.get("limit", 30)
    CLIENT.per_page = limit
    pulls = CLIENT.get_repo(args["repo"]).get_pulls(**given(args, "state"))
    list(islice(pulls, limit))


CALLS = {
    "github.issues.create": create_issue,
    "github.issues.comment": comment_issue,
    "github.pulls.create": create_pull,
    "github.pulls.list": list_pulls,
}
