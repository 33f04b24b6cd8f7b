"""Hosts one pack for Python: reads requests from stdin, runs its tools on threads, writes answers.

Messages are JSON-RPC 2.0, each after its length as four bytes, big-endian. The pack's code is imported by the request `start` and not
before. Whatever the pack writes to stdout or stderr is its log: the pipe that answers go through is moved away from descriptor 1 first.
No policy is decided here; what a pack can reach is decided by what is around this process.
"""

import asyncio
import ctypes
import contextvars
import dataclasses
import inspect
import io
import json
import os
import struct
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

# As many as the host lets run at once: a slow call never keeps another one waiting.
WORKERS = 256
# Of each thread; the memory of all of them together is limited.
STACK = 1 << 20
# A request is never larger: the host refuses larger arguments.
MAX_FRAME = 64 << 20
# Of the text of an exception that becomes a message.
MAX_MESSAGE = 500

call_id = contextvars.ContextVar("call_id", default=None)


class Cancelled(BaseException):
    """Raised inside of a call that is to stop. Not an `Exception`, so that `except Exception` does not hold it up."""


class StartError(Exception):
    """The pack cannot be used: `kind` is for the host, the text for people."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Wire:
    """The two ends of the conversation with the host."""

    def __init__(self):
        self.source = os.fdopen(os.dup(0), "rb")
        self.sink = os.dup(1)
        # Children of the pack get neither end, and what the pack writes to descriptor 1 goes to the log.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        self.lock = threading.Lock()
        self.key = None

    def read(self):
        head = self.source.read(4)
        if len(head) < 4:
            return None
        (size,) = struct.unpack(">I", head)
        if size > MAX_FRAME:
            raise SystemExit("a frame of %d bytes" % size)
        body = self.source.read(size)
        return json.loads(body) if len(body) == size else None

    def write(self, message):
        message["jsonrpc"] = "2.0"
        message["key"] = self.key
        body = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
        data = memoryview(struct.pack(">I", len(body)) + body)
        with self.lock:
            while data:
                data = data[os.write(self.sink, data) :]

    def log(self, level, text):
        self.write({"method": "log", "params": {"id": call_id.get(), "level": level, "message": text}})


class LogStream(io.TextIOBase):
    """`sys.stdout` and `sys.stderr` of the pack: each line belongs to the call that wrote it."""

    def __init__(self, wire, level):
        self.wire = wire
        self.level = level
        self.rest = threading.local()

    encoding = "utf-8"
    errors = "replace"

    def writable(self):
        return True

    def write(self, text):
        text = str(text)
        lines = (getattr(self.rest, "text", "") + text).split("\n")
        self.rest.text = lines.pop()
        for line in lines:
            self.wire.log(self.level, line)
        return len(text)

    def flush(self):
        rest = getattr(self.rest, "text", "")
        if rest:
            self.rest.text = ""
            self.wire.log(self.level, rest)


def plain(value):
    """A dataclass of the tool types as a dict; others as they are."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return value


class Pack:
    """The pack's object behind its entry point."""

    def __init__(self, package):
        from importlib import metadata

        try:
            found = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            raise StartError("missing", "the package %s is not in the environment" % package) from None
        entries = [entry for entry in found.entry_points if entry.group == "rig.packs"]
        if not entries:
            raise StartError("no_entry_point", "%s has no entry point in the group rig.packs" % package)
        if len(entries) > 1:
            names = ", ".join(sorted(entry.name for entry in entries))
            raise StartError("entry_points", "%s has several entry points in the group rig.packs: %s" % (package, names))
        entry = entries[0]
        try:
            self.object = entry.load()
        except BaseException as error:
            traceback.print_exc()
            raise StartError(
                "import", "loading its entry point %s failed with %s" % (entry.value, described(error))
            ) from None
        if isinstance(self.object, type) or (
            callable(self.object) and not hasattr(self.object, "rig_tools")
        ):
            self.object = self.ask("the entry point", self.object)
        said = plain(self.ask("rig_pack_metadata", self.function("rig_pack_metadata")))
        if not isinstance(said, dict) or not all(isinstance(said.get(key), str) for key in ("name", "version")):
            raise StartError("contract", "rig_pack_metadata() does not answer a dict with the texts name and version")
        tools = self.ask("rig_tools", self.function("rig_tools"))
        if not isinstance(tools, (list, tuple)):
            raise StartError("contract", "rig_tools() does not answer a list")
        self.tools = [plain(tool) for tool in tools]
        impls = self.ask("rig_impls", self.function("rig_impls"))
        if not isinstance(impls, dict):
            raise StartError("contract", "rig_impls() does not answer a dict")
        self.impls = {name: getattr(found, "impl", found) for name, found in impls.items()}
        for tool in self.tools:
            name = tool.get("name") if isinstance(tool, dict) else None
            if name is not None and not callable(self.impls.get(name)):
                raise StartError("contract", "rig_impls() has no function for the tool %s" % name)
        self.about = {"name": said["name"], "version": said["version"], "distribution": found.version}

    def function(self, name):
        found = getattr(self.object, name, None)
        if not callable(found):
            raise StartError("contract", "the object of its entry point has no function %s" % name)
        return found

    @staticmethod
    def ask(name, function):
        try:
            return function()
        except BaseException as error:
            traceback.print_exc()
            raise StartError("contract", "%s() failed with %s" % (name, described(error))) from None


def described(error):
    text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()
    return (text[-1] if text else type(error).__name__)[:MAX_MESSAGE]


def internal(message):
    return {"type": "internal_error", "message": message, "retryable": False}


class Call:
    """One call while it runs."""

    def __init__(self):
        self.lock = threading.Lock()
        self.thread = None
        self.loop = None
        self.task = None
        self.stopped = False

    def cancel(self):
        with self.lock:
            self.stopped = True
            if self.task is not None:
                self.loop.call_soon_threadsafe(self.task.cancel)
            elif self.thread is not None:
                # Takes effect at the next bytecode of that thread; code that waits outside of Python is not reached.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), ctypes.py_object(Cancelled))

    def run(self, impl, args, secrets, ctx):
        with self.lock:
            if self.stopped:
                raise Cancelled
            self.thread = threading.get_ident()
        try:
            answer = impl(args, secrets, ctx)
            if inspect.isawaitable(answer):
                answer = asyncio.run(self.awaited(answer))
            return answer
        finally:
            with self.lock:
                self.thread = None

    async def awaited(self, answer):
        async def inner():
            return await answer

        task = asyncio.ensure_future(inner())
        with self.lock:
            self.loop, self.task = asyncio.get_running_loop(), task
        try:
            return await task
        finally:
            with self.lock:
                self.task = None


class Runner:
    """Answers the host until it closes the pipe."""

    def __init__(self):
        self.wire = Wire()
        sys.stdin = open(os.devnull)
        sys.stdout = LogStream(self.wire, "info")
        sys.stderr = LogStream(self.wire, "warn")
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
        threading.stack_size(STACK)
        self.pool = ThreadPoolExecutor(WORKERS, "call")
        self.calls = {}
        self.pack = None

    def serve(self):
        while True:
            message = self.wire.read()
            if message is None:
                # Threads of the pack that still run do not hold the process.
                os._exit(0)
            method, number, params = message["method"], message.get("id"), message.get("params", {})
            if method == "call":
                call = self.calls[number] = Call()
                self.pool.submit(contextvars.Context().run, self.call, number, call, params)
            elif method == "cancel":
                call = self.calls.get(params["id"])
                if call is not None:
                    call.cancel()
            elif method == "ping":
                self.wire.write({"id": number, "result": {}})
            elif method == "start":
                self.start(number, params)

    def start(self, number, params):
        self.wire.key = params["key"]
        try:
            sys.path.extend(params["paths"])
            self.pack = Pack(params["package"])
            answer = {"result": {"about": self.pack.about, "tools": self.pack.tools}}
        except StartError as error:
            answer = {"error": {"code": 1, "message": str(error), "data": {"kind": error.kind}}}
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            self.wire.write({"id": number, **answer})
        except (TypeError, ValueError) as error:
            answer = {"code": 1, "message": "its tools are not JSON: %s" % error, "data": {"kind": "contract"}}
            self.wire.write({"id": number, "error": answer})

    def call(self, number, call, params):
        call_id.set(number)
        try:
            answer = self.answered(call, params)
        except BaseException as error:
            answer = {"error": {"code": 2, "message": "", "data": internal(described(error))}}
        finally:
            self.calls.pop(number, None)
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            self.wire.write({"id": number, **answer})
        except (TypeError, ValueError, RecursionError) as error:
            why = internal("its answer is not JSON: %s" % described(error))
            self.wire.write({"id": number, "error": {"code": 2, "message": "", "data": why}})
        except Cancelled:
            self.wire.write({"id": number, **answer})

    def answered(self, call, params):
        tool = params["tool"]
        try:
            answer = plain(call.run(self.pack.impls[tool], params["args"], params["secrets"], params["context"]))
        except (Cancelled, asyncio.CancelledError):
            return {"error": {"code": 3, "message": "cancelled"}}
        except BaseException as error:
            raised = plain(getattr(error, "err", None)) if type(error).__name__ == "RigToolRaised" else None
            if isinstance(raised, dict):
                return {"error": {"code": 2, "message": "", "data": raised}}
            self.wire.log("error", "".join(traceback.format_exception(type(error), error, error.__traceback__)))
            return {"error": {"code": 2, "message": "", "data": internal("`%s` failed with %s" % (tool, described(error)))}}
        if isinstance(answer, dict) and set(answer) >= {"ok", "output", "error", "correlation_id"}:
            # A whole result instead of an output.
            if not answer["ok"] and isinstance(plain(answer["error"]), dict):
                return {"error": {"code": 2, "message": "", "data": plain(answer["error"])}}
            answer = answer["output"]
        return {"result": answer}


if __name__ == "__main__":
    Runner().serve()
