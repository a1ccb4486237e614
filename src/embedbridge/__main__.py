"""What `python -m embedbridge` and the script `embedbridge` run: `cli.main`, the import of which a Ctrl-C ends, too."""

import sys


def main() -> int:
    """Import the command line, and run it.

    Returns:
        The exit status.
    """
    try:
        from .cli import main
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - a command line prints
        return 130
    return main()


if __name__ == "__main__":
    raise SystemExit(main())
