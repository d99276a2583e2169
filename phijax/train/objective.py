"""What a run learns: text, what an assistant says, or which of two answers is better."""

import dataclasses

from phijax.errors import InputError

# The form of the rows that each kind learns from (`phijax.data.conversations`).
FORMS = {'pretraining': 'text', 'chat': 'chat', 'preference': 'preference'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """What a run learns.

    Attributes:
        kind: `pretraining`: every token; `chat`: what the assistant says in conversations, which
            stay whole; `preference`: to prefer one of two answers, by DPO against the parameters
            that the run starts from.
        beta: of DPO: how dear it is to leave those parameters.
    """

    kind: str
    beta: float

    @property
    def form(self) -> str:
        """The form of its rows, for `phijax.data.mixture`."""
        return FORMS[self.kind]

    @property
    def has_pairs(self) -> bool:
        """Whether it learns a preference between the two rows of a pair."""
        return self.kind == 'preference'

    def check(self) -> None:
        """Returns when it is one.

        Raises:
            InputError: no such kind, or a beta that is not positive.
        """
        if self.kind not in FORMS:
            raise InputError(f'objective.kind must be one of {", ".join(FORMS)}, got {self.kind!r}')
        if not self.beta > 0:
            raise InputError(f'objective.beta must be positive, got {self.beta}')


PRETRAINING = Objective(kind='pretraining', beta=0.1)
