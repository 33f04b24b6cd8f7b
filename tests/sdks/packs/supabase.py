"""The Supabase pack's tools, as calls of supabase."""

import os

from supabase import create_client

from . import given

CLIENT = create_client(os.environ["SUPABASE_URL"], os.environ["SUPABASE_SERVICE_ROLE_KEY"])


def condition(query, column, operator, value):
    if value is None:
        return query.is_(column, "null") if operator in ("eq", "is") else query.not_.is_(column, "null")
    if operator == "is":
        return query.is_(column, "true" if value else "false")
    methods = {"in": "in_", "cs": "contains"}
    return getattr(query, methods.get(operator, operator))(column, value)


def filtered(query, filters):
    for column, value in sorted(filters.items()):
        if isinstance(value, dict):
            for operator, operand in sorted(value.items()):
                query = condition(query, column, operator, operand)
        else:
            query = condition(query, column, "in" if isinstance(value, list) else "eq", value)
    return query


def select(args):
    columns = [args["columns"]] if "columns" in args else []
    query = filtered(CLIENT.table(args["table"]).select(*columns), args.get("filters", {}))
    if "limit" in args:
        query = query.limit(args["limit"])
    query.execute()


CALLS = {
    "supabase.table.select": select,
    "supabase.table.insert": lambda args: CLIENT.table(args["table"]).insert(args["data"]).execute(),
    "supabase.table.update": lambda args: filtered(
        CLIENT.table(args["table"]).update(args["data"]), args["filters"]
    ).execute(),
    "supabase.auth.createUser": lambda args: CLIENT.auth.admin.create_user(
        given(args, "email", "password", "email_confirm", "user_metadata")
    ),
}
