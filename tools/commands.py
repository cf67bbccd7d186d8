"""Prints docs/commands.md: every verb of the command with its arguments. Run it from the root:

.venv/bin/python tools/commands.py > docs/commands.md
"""

import argparse
from collections.abc import Iterator

from tetrapylon.cli import build_parser

HEAD = """\
# Command line

`tetrapylon VERB --help` prints the same. The exit status is 0 when all is fine, 1 when something failed while
running, 2 for bad usage or a bad config. `NO_COLOR` switches colours off.
"""


def verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (choices,) = (each.choices for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return dict(choices)


def spelled(action: argparse.Action) -> str:
    """As one types it: `-w N`, `--processes N`, or `CONFIG`."""
    choices = "" if action.choices is None else "{" + ",".join(map(str, action.choices)) + "}"
    value = choices if action.metavar is None else str(action.metavar)
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(
        f"`{name} {value}`" if action.nargs != 0 else f"`{name}`" for name in action.option_strings
    )


def told(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": "tetrapylon"}
    return text.replace("|", "\\|")


def page(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield HEAD
    for verb, own in verbs(parser).items():
        yield f"## `tetrapylon {verb}`\n"
        yield f"{own.description}\n"
        yield "| | |\n| --- | --- |"
        for group in own._action_groups:
            if group.description:
                yield f"| **{group.title}** | {group.description} |"
            for action in group._group_actions:
                if not isinstance(action, argparse._HelpAction):
                    yield f"| {spelled(action)} | {told(action)} |"
        yield ""


if __name__ == "__main__":
    print("\n".join(page(build_parser(complete=True))), end="")
