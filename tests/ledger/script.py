"""The stranger's script, as a module."""

from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[2] / "docs" / "verify_receipt.py"


@cache
def script() -> Any:
    """docs/verify_receipt.py, imported."""
    spec = spec_from_file_location("verify_receipt", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
