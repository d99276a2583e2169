"""What counts as a leak: the settings of decontamination."""

from __future__ import annotations

from dataclasses import dataclass

from phijax.data.filtering.decontaminate.items import LOADERS
from phijax.data.settings import check


@dataclass(frozen=True)
class Settings:
    """What counts as a leak.

    Attributes:
        benchmarks: whose items are protected; all that there are unless said.
        own_items: a file of further items, JSON lines; none unless said.
        ngram: words in a row that a document may not share with an item.
        shortest: a question with fewer words than `ngram`, but so many, is looked for as a whole.
            An item of which nothing is that long is not protected by words, and reported.
        max_items: an n-gram that more items have is a benchmark's own frame, not an item.
        max_documents: an n-gram is common speech, no leak, if more documents than that have it
            with less than half of its item; it takes a first pass over the documents.
        tau: the AST match rate from which a function is a leak.
        sweep: the match rates that the table has a row for.
        min_nodes: functions and solutions with fewer nodes are not compared by syntax.
        max_bytes: documents beyond are not parsed.
        examples: how many pairs of each kind are kept to be read by people.
    """

    benchmarks: tuple[str, ...] = tuple(LOADERS)
    own_items: str = ''
    # Source: arXiv:2306.11644, sec. 5.1.
    ngram: int = 13
    # Our choice: fewer words are common speech.
    shortest: int = 8
    # Our choice. Of 690,000 n-grams, 2 % are of 2 to 6 items (twins), 94 of 8 to 900 (frames).
    max_items: int = 7
    # Our choice.
    max_documents: int = 10
    # Source: arXiv:2306.11644, table 3, which ends at 0.8 and 0.95.
    tau: float = 0.95
    sweep: tuple[float, ...] = (0.95, 0.90, 0.85, 0.80)
    # Our choice; docs/design/0017-decontamination.md has what it costs and saves.
    min_nodes: int = 20
    # Our choice: a file of a megabyte is data.
    max_bytes: int = 1 << 20
    examples: int = 50

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            InputError: if one is not allowed; it names what is.
        """
        for name in self.benchmarks:
            check(name in LOADERS, 'benchmarks', name, f'of {", ".join(LOADERS)}')
        check(self.ngram >= 2, 'ngram', self.ngram, 'at least 2')
        limits = f'from 1 to {self.ngram}'
        check(1 <= self.shortest <= self.ngram, 'shortest', self.shortest, limits)
        for name in ('max_items', 'max_documents', 'min_nodes', 'max_bytes'):
            check(getattr(self, name) >= 1, name, getattr(self, name), 'at least 1')
        check(self.examples >= 0, 'examples', self.examples, 'at least 0')
        for tau in (self.tau, *self.sweep):
            check(0.5 <= tau <= 1, 'a match rate', tau, 'from 0.5 to 1')
        check(self.tau in self.sweep, 'tau', self.tau, f'one of the sweep {self.sweep}')
