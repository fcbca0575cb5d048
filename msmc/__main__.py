"""`python -m msmc`."""

from msmc.cli import main

main()
