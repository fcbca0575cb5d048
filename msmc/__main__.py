"""The program: `msmc`, `python -m msmc`. A Ctrl-C while Python still loads what it needs is no traceback either."""

import sys


def main() -> None:
    try:
        from msmc.cli import main as command

        command()
    except KeyboardInterrupt:
        print("error[interrupted]: stopped before anything was done", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
