"""What is looked for, as frozen values that are checked before a model is opened."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from phijax.errors import InputError, check_keys
from phijax.evaluate.overfitting.sets import SETS
from phijax.evaluate.plan import DTYPES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """One examination of a model.

    Attributes:
        sets: test sets that are published, of `sets.SETS`.
        limit: the first so many items of each; 0 is all.
        answered: items that the model answers, and their twins, for the gap in accuracy; 0 is none.
        max_new_tokens: most tokens of an answer; 0 is what the task says.
        shards, permutations: of the order test: stretches of the set, and shuffles of each.
        tokens: directory of the run's own training tokens; empty means `data` in the workdir that
            is examined, if it is there.
        canaries: `canaries.json` of what was planted in the training text; empty for none.
        references: random strings that a canary is compared with.
        evaluation: workdir of an evaluation, whose answers say which items are right; empty for
            none. With the tokens they give the gain that is due to items seen in training.
        dtype: what the model computes in.
        seed: of twins, shuffles and references.
        rows_at_once: texts that the device works on at once.
    """

    sets: tuple[str, ...]
    limit: int
    answered: int
    max_new_tokens: int
    shards: int
    permutations: int
    tokens: str
    canaries: str
    references: int
    evaluation: str
    dtype: str
    seed: int
    rows_at_once: int


_LEAST = {
    'limit': 0,
    'answered': 0,
    'max_new_tokens': 0,
    'shards': 2,
    'permutations': 1,
    'references': 1,
    'seed': 0,
    'rows_at_once': 1,
}


def from_dict(fields: Mapping[str, Any]) -> Plan:
    """The examination that a config describes, checked.

    Raises:
        InputError: an unknown or missing key, or a value that is not allowed.
    """
    check_keys('', fields, [field.name for field in dataclasses.fields(Plan)])
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    plan = Plan(**values)
    for name, least in _LEAST.items():
        value = getattr(plan, name)
        if not isinstance(value, int) or not value >= least:
            raise InputError(f'{name} must be a whole number of at least {least}, got {value!r}')
    if not plan.sets or not set(plan.sets) <= set(SETS):
        raise InputError(f'sets must be of {", ".join(SETS)}, got {list(plan.sets)}')
    if plan.dtype not in DTYPES:
        raise InputError(f'dtype must be one of {", ".join(DTYPES)}, got {plan.dtype!r}')
    if 0 < plan.limit < 2 * plan.shards:
        raise InputError(
            f'limit must be 0 or at least twice the shards ({2 * plan.shards}), got {plan.limit}'
        )
    return plan
