"""Pushes and pulls WebAssembly artifacts with ORAS: `pull TARGET FOLDER`, `push TARGET COMPONENT CONFIG`."""

import sys

import oras.client

LAYER = "application/wasm"
CONFIG = "application/vnd.wasm.config.v0+json"


def main(command, target, *rest):
    client = oras.client.OrasClient(insecure=True)
    if command == "pull":
        [folder] = rest
        for path in client.pull(target=target, outdir=folder):
            print(path)
    else:
        component, config = rest
        client.push(
            target=target,
            files=[f"{component}:{LAYER}"],
            manifest_config=f"{config}:{CONFIG}",
            disable_path_validation=True,
        )


main(*sys.argv[1:])
