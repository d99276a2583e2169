"""Score: what the forest says of every document, and the topic that it lies nearest to."""

from __future__ import annotations

import numpy as np

from phijax.data import attributes
from phijax.data.filtering.forest import Forest
from phijax.data.stage import Account, Task


def work(task: Task) -> Account:
    """Writes the score and the topic of the shard's documents, in the order of the vectors."""
    fitted = task.input('forest')
    made = Forest.load(fitted.directory)
    vectors = attributes.read(task.input('embed').part('vectors', task.index), 'vector')['vector']
    vectors = vectors.astype(np.float32)
    topics = attributes.read(fitted.part('topics', 0))
    nearest = (vectors @ topics['middle'].T).argmax(axis=1)
    columns = {'score': made.score(vectors), 'topic': topics['topic'][nearest]}
    attributes.write(task.output('scores'), columns)
    return Account(len(vectors), len(vectors))
