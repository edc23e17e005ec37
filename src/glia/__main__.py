"""``python -m glia`` does what ``glia`` does."""

from glia.cli.main import main

if __name__ == "__main__":
    main()
