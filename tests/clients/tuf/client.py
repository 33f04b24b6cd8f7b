"""Reads a signed index with the reference client: FOLDER_URL ROOT_FILE TARGET..., one line of JSON with what it accepted."""

import hashlib
import json
import sys
import tempfile

from tuf.ngclient import Updater

url, root, *targets = sys.argv[1:]
folder = tempfile.mkdtemp()
with open(root, "rb") as file:
    bootstrap = file.read()
updater = Updater(
    folder, f"{url}/metadata/", target_dir=folder, target_base_url=f"{url}/targets/", bootstrap=bootstrap
)
accepted = {}
try:
    updater.refresh()
    for name in targets:
        info = updater.get_targetinfo(name)
        with open(updater.download_target(info), "rb") as file:
            accepted[name] = hashlib.sha256(file.read()).hexdigest()
    print(json.dumps({"ok": True, "targets": accepted}))
except Exception as error:
    print(json.dumps({"ok": False, "error": type(error).__name__}))
