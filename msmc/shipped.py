"""The files that travel with msmc: grammar, templates, example specs, targets."""

from pathlib import Path


def shipped() -> Path:
    """The folder that holds `grammar/ templates/ specs/ targets/`: beside the package in a checkout, in it in a wheel."""
    package = Path(__file__).parent
    return package if (package / "grammar").is_dir() else package.parent
