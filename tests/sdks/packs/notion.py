"""The Notion pack's tools, as calls of notion-client."""

import os

from notion_client import Client

from . import given

# Nothing is tried twice: the stand-in answers once.
CLIENT = Client(auth=os.environ["NOTION_TOKEN"], retry=False)


def create_page(args):
    CLIENT.pages.create(**given(args, "parent", "properties", "children"))


def update_page(args):
    CLIENT.pages.update(args["page_id"], **given(args, "properties"))


def query_database(args):
    database = CLIENT.databases.retrieve(args["database_id"])
    CLIENT.data_sources.query(database["data_sources"][0]["id"], **given(args, "filter", "sorts"))


def search(args):
    CLIENT.search(**given(args, "query", "filter"))


CALLS = {
    "notion.pages.create": create_page,
    "notion.pages.update": update_page,
    "notion.databases.query": query_database,
    "notion.search": search,
}
