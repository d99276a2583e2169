"""Near-duplicates: MinHash, a join on the disk, and the true similarity of what it finds.

A stage makes a sketch of each shard (`sketch`, `write_sketch`); one process joins all sketches into
verdicts and a report (`join`). A shard's texts are read once.
Source: docs/design/0016-near-duplicates.md.
"""

from phijax.data.filtering.deduplicate.plan import Plan, choose
from phijax.data.filtering.deduplicate.sketches import Sketch, read_sketch, sketch, write_sketch
from phijax.data.filtering.deduplicate.verdicts import Verdicts, join

__all__ = ['Plan', 'Sketch', 'Verdicts', 'choose', 'join', 'read_sketch', 'sketch', 'write_sketch']
