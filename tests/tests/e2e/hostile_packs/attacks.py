"""What hostile code tries. `attempt(name, given)` answers what it got; what fails, raises. The same file is the pack and the control."""

import ctypes
import glob
import os
import signal
import socket
import subprocess
import time


def read(given):
    got = []
    for path in given["paths"]:
        for found in glob.glob(path):
            try:
                got.append(open(found, "rb").read(1 << 16).decode("utf-8", "replace"))
            except OSError:
                pass
    return "\n".join(got)


def names(given):
    return "\n".join(name for _, _, files in os.walk(given["path"]) for name in files)


def write(given):
    written = []
    for path in given["paths"]:
        try:
            with open(path, "a") as file:
                file.write("hostile")
            written.append(path)
        except OSError:
            pass
    return written


def connect(given):
    with socket.create_connection((given["host"], given["port"]), timeout=5) as stream:
        stream.sendall(b"hello\n")
        return stream.recv(5).decode()


def proxy(given):
    """As an SDK would go: through the proxy that it is told of."""
    import urllib.request

    return urllib.request.urlopen(given["url"], timeout=20).read(100).decode()


def udp(given):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.settimeout(5)
    sender.sendto(b"hello", (given["host"], given["port"]))
    return sender.recv(5).decode()


def unix(given):
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(5)
    stream.connect(given["path"])
    return stream.recv(5).decode()


def trace(given):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, given["pid"], 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "not traced")
    libc.ptrace(17, given["pid"], 0, 0)
    return "traced"


def stop(given):
    os.kill(given["pid"], signal.SIGCONT)
    return "signalled"


def parent(given):
    """Ends whoever is above, as far up as there is somebody."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1)
    return "alive, with parent %d" % os.getppid()


def fork(given):
    children = []
    try:
        while len(children) < given["most"]:
            child = os.fork()
            if child == 0:
                time.sleep(30)
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return len(children)


def take(given):
    held = []
    while len(held) < given["mib"]:
        held.append(b"x" * (1 << 20))
    return len(held)


def run(given):
    return subprocess.run(given["args"], capture_output=True, timeout=20, check=True).stdout.decode()


def attempt(name, given):
    return globals()[name](given)


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(attempt(sys.argv[1], json.loads(sys.argv[2]))))
