"""Configs: what is refused before anything is asked, and those that are in the repository."""

import pytest

from phijax.data import synthesis
from phijax.errors import InputError
from tests.data.synthesis import runs

URL = 'http://127.0.0.1:1/v1'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'texts': {'kind': 'poems'}}, "texts.kind is 'poems'; it must be one of code, knowledge"),
        ({'texts': {'sample': 3}}, 'texts.sample is not a setting; did you mean samples'),
        ({'teacher': {'model': ''}}, "teacher.model is ''"),
        ({'budget': {'max_tokens': 0}}, 'max_tokens is 0'),
        ({'endpoint': {'url': 'ftp://x'}}, "url is 'ftp://x'"),
        ({'sources': {'web': {'kind': 'mail'}}}, 'sources.web.kind'),
        ({'plain': {'samples': -1}}, 'plain.samples is -1'),
        ({'plain': {'words': 0}}, 'plain.words is 0'),
        ({'diversity': {'window': 0}}, 'diversity.window is 0'),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        synthesis.from_dict(runs.config(URL, tmp_path, **changes))


def test_an_unknown_group_is_named(tmp_path):
    with pytest.raises(InputError, match=r'unknown key topic.*did you mean topics'):
        synthesis.from_dict(runs.config(URL, tmp_path) | {'topic': {}})


def test_groups_are_plain_values(tmp_path):
    config = synthesis.from_dict(runs.config(URL, tmp_path))
    assert config.group('diversity')['factors'] == ('form',)
    assert config.group('budget') == {'max_tokens': 10_000_000}
