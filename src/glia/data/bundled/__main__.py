"""Write a bundled data set as a CSV file: ``python -m glia.data.bundled NAME OUT.csv``."""

from __future__ import annotations

import argparse
import sys

from glia.core.errors import InputError
from glia.data.bundled.sets import describe, write_csv


def main(arguments: list[str] | None = None) -> int:
    """Write the set that is asked for; return the exit status."""
    listed = "\n".join(f"  {name:<15} {line}" for name, line in describe().items())
    parser = argparse.ArgumentParser(
        prog="python -m glia.data.bundled",
        description="Write a data set that comes with Glia as a CSV file.",
        epilog=f"sets:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="name of the set")
    parser.add_argument("out", help="path of the CSV file")
    parser.add_argument("--part", help="only this part (adult: train or test)")
    given = parser.parse_args(arguments)
    try:
        rows = write_csv(given.name, given.out, part=given.part)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{given.out}: {rows:,} rows of {describe()[given.name]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
