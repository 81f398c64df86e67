"""`python -m ringua`: the command line without an installed script."""

from __future__ import annotations

from ringua.cli import main

if __name__ == "__main__":
    main()
