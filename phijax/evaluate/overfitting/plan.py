"""A report on overfitting as frozen values, checked before a model is opened."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phijax.errors import InputError, check_keys

SETS = ('gsm8k', 'humaneval')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        sets: names of published test sets.
        limit: the first so many items of each; 0 is all.
        tokens: a directory of the token shards that the run was trained on; empty is `data` in the
            checkpoint's workdir, and no n-grams where there is none.
        canaries: a `canaries.json`; empty where none were planted.
        answers: by set, files of JSON lines with `id` and `correct`, or the samples of
            `phijax.evaluate`; empty where there are none.
        twin_answers: the same of the twins, by the ids of the items.
        shards, permutations: of the order test.
        references: that each canary is compared with.
        seed: of the twins and of whatever is drawn.
        rows_at_once: rows that the device works on at once.
    """

    sets: tuple[str, ...]
    limit: int
    tokens: str
    canaries: str
    answers: Mapping[str, str]
    twin_answers: Mapping[str, str]
    shards: int
    permutations: int
    references: int
    seed: int
    rows_at_once: int


_LEAST = {
    'limit': 0,
    'shards': 2,
    'permutations': 1,
    'references': 1,
    'seed': 0,
    'rows_at_once': 1,
}


def from_dict(fields: Mapping[str, Any]) -> Plan:
    """The report that a config describes, checked.

    Raises:
        InputError: an unknown or missing key, or a value that is not allowed; the message names
            the value met and those allowed.
    """
    check_keys('', fields, [field.name for field in dataclasses.fields(Plan)])
    plan = Plan(**{**fields, 'sets': tuple(fields['sets'])})
    for name, least in _LEAST.items():
        value = getattr(plan, name)
        if not isinstance(value, int) or value < least:
            raise InputError(f'{name} must be a whole number of at least {least}, got {value!r}')
    for name in (*plan.sets, *plan.answers, *plan.twin_answers):
        if name not in SETS:
            raise InputError(f'there is no set {name!r}; there are {", ".join(SETS)}')
    if not plan.sets:
        raise InputError(f'sets is empty; there are {", ".join(SETS)}')
    if 0 < plan.limit < 2 * plan.shards:
        raise InputError(
            f'limit is {plan.limit}: {plan.shards} shards need {2 * plan.shards} items or more'
        )
    paths = [*plan.answers.values(), *plan.twin_answers.values(), plan.canaries, plan.tokens]
    for path in paths:
        if path and not Path(path).exists():
            raise InputError(f'there is no {path}')
    return plan
