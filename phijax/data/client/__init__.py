"""Answers of a language model behind an OpenAI-compatible endpoint, within a budget, paid for once.

    with Client(Endpoint(url, model), Budget(max_tokens), directory) as client:
        for answer in client.complete(requests):
            ...

See docs/design/0014-llm-client.md.
"""

from phijax.data.client.client import Client
from phijax.data.client.ledger import Spent
from phijax.data.client.pilot import Estimate, Interval, pilot
from phijax.data.client.request import Answer, Request, Usage
from phijax.data.client.settings import Budget, Endpoint

__all__ = [
    'Answer',
    'Budget',
    'Client',
    'Endpoint',
    'Estimate',
    'Interval',
    'Request',
    'Spent',
    'Usage',
    'pilot',
]
