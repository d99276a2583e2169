"""A config file that is none: what it returns cannot be locked, nor read field by field."""

from typing import Any


def get_config() -> dict[str, Any]:
    return {'name': 'plain'}
