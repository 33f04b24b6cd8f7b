"""What a tool's arguments are in terms of an official SDK: one module for each pack, with a function for each tool in `CALLS`."""


def given(args, *names):
    """The arguments of these names that were given."""
    return {name: args[name] for name in names if name in args}
