"""The Google pack's tools, as calls of google-api-python-client."""

import json
import os

from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build

from . import given

SCOPES = ["https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive.metadata.readonly"]
CREDENTIALS = Credentials.from_service_account_info(json.loads(os.environ["GOOGLE_CREDENTIALS_JSON"]), scopes=SCOPES)


def service(name, version):
    # The description of the service that comes with the library, and no cache beside it.
    return build(name, version, credentials=CREDENTIALS, cache_discovery=False, static_discovery=True)


def values():
    return service("sheets", "v4").spreadsheets().values()


def get_values(args):
    values().get(spreadsheetId=args["spreadsheet_id"], range=args["range"]).execute()


def update_values(args):
    values().update(
        spreadsheetId=args["spreadsheet_id"],
        range=args["range"],
        valueInputOption="USER_ENTERED",
        body=given(args, "values"),
    ).execute()


def list_files(args):
    params = {}
    if "query" in args:
        params["q"] = args["query"]
    if "page_size" in args:
        params["pageSize"] = args["page_size"]
    service("drive", "v3").files().list(**params).execute()


CALLS = {
    "google.sheets.values.get": get_values,
    "google.sheets.values.update": update_values,
    "google.drive.files.list": list_files,
}
