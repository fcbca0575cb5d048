"""Folders of msmc itself: the files that travel with it, and what it keeps because making it takes long."""

import os
from pathlib import Path


def shipped() -> Path:
    """The folder that holds `grammar/ templates/ specs/ targets/`: beside the package in a checkout, in it in a wheel."""
    package = Path(__file__).parent
    return package if (package / "grammar").is_dir() else package.parent


def cache_folder() -> Path:
    """Where converted weights and the grammar's tables are kept: `$MSMC_CACHE`, else the user's cache folder."""
    if "MSMC_CACHE" in os.environ:
        return Path(os.environ["MSMC_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msmc"
