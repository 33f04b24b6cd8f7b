"""Makes the call of an official SDK that a tool stands for, once.

Reads one JSON object from stdin: `{"pack": "stripe", "tool": "stripe.customers.create", "args": {...}}`. `packs/<pack>.py` says which
call that is. The environment holds the credentials under the names that the pack uses, and leads the SDK to the tests' stand-in. An
exception ends the program with its traceback.
"""

import json
import sys
from importlib import import_module

PLAN = json.load(sys.stdin)
import_module(f"packs.{PLAN['pack']}").CALLS[PLAN["tool"]](PLAN["args"])
