"""`python -m lmdm`."""

from lmdm.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
