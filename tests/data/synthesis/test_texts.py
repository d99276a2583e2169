"""Prompts of our own genres: what is in them, how often, and what they are made from."""

import collections
import json

import pytest

from phijax.data.document import Document
from phijax.data.synthesis import taxonomy, texts
from phijax.data.synthesis.commonsense import COMMONSENSE
from phijax.data.synthesis.config import GENRES
from phijax.data.synthesis.texts import Settings, Texts
from phijax.errors import InputError

EXTRACTS = [Document(f'id{n}', f'The extract number {n}.', 'web', f'{n}') for n in range(10)]
TOPICS = taxonomy.leaves(taxonomy.load('commonsense'))


def make(kind='commonsense', **settings):
    return Texts(GENRES[kind], Settings(kind=kind, **settings), TOPICS, EXTRACTS)


def prompts(made, count):
    return [made.prompt(index, made.sampler(index)) for index in range(count)]


@pytest.mark.parametrize('kind', sorted(GENRES.keys() - {'dialogue'}))
def test_half_of_the_prompts_show_an_extract(kind):
    asked = prompts(make(kind), 400)
    assert sum(bool(each.extract) for each in asked) == 200
    for each in asked:
        said = each.messages[-1]['content']
        assert (each.topic in said) == bool(each.topic) or not each.topic
        assert each.seeds == ((f'id{each.extract.split()[-1][:-1]}',) if each.extract else ())
        assert each.extract in said
        assert each.topic or each.extract
        assert bool(each.topic) == (each.factors['view'] != 'extract')
        assert each.max_tokens > each.words > 0
        assert f'About {each.words} words' in said


def test_extracts_are_shown_equally_often():
    counts = collections.Counter(each.seeds for each in prompts(make(), 400) if each.seeds)
    assert len(counts) == 10
    assert max(counts.values()) - min(counts.values()) <= 2


def test_prompts_do_not_repeat():
    asked = prompts(make(), 2000)
    assert len({each.messages[-1]['content'] for each in asked}) == 2000


def test_the_same_index_has_the_same_prompt():
    assert prompts(make(), 20) == prompts(make(), 20)
    assert prompts(make(), 20) != prompts(make(seed=1), 20)


def test_without_extracts_only_topics_can_be_shown():
    with pytest.raises(InputError, match=r'sources.*texts\.views has topic, extract'):
        Texts(COMMONSENSE, Settings(kind='commonsense'), TOPICS)
    made = Texts(COMMONSENSE, Settings(kind='commonsense', views=('topic',)), TOPICS)
    assert all(each.topic for each in prompts(made, 50))


def test_a_template_with_a_missing_factor_stops_before_anything_is_asked(tmp_path):
    head = '---\nabout: a\nsystem: b\n---\n'
    (tmp_path / 'good.jinja').write_text(head + '{{ topic }}')
    (tmp_path / 'wrong.jinja').write_text(head + '{{ topic }} {{ mood }}')
    with pytest.raises(InputError, match='commonsense/wrong needs mood'):
        make(templates=str(tmp_path), views=('topic',))


def test_a_prompt_that_shows_an_extract_may_not_speak_of_the_topic(tmp_path):
    (tmp_path / 'wrong.jinja').write_text('---\nabout: a\nsystem: b\n---\n{{ topic }}')
    with pytest.raises(InputError, match='commonsense/wrong needs topic'):
        make(templates=str(tmp_path))


def test_other_wording_is_another_identity(tmp_path):
    (tmp_path / 'a.jinja').write_text('---\nabout: a\nsystem: b\n---\nc')
    own = Settings(kind='commonsense', templates=str(tmp_path))
    before = texts.identity(['commonsense'], own)
    (tmp_path / 'a.jinja').write_text('---\nabout: a\nsystem: b\n---\nd')
    assert texts.identity(['commonsense'], own) != before
    assert json.dumps(before)


@pytest.mark.parametrize(
    'values', [{'samples': 0}, {'tokens_per_word': 0}, {'max_copied': 0}, {'views': ('nothing',)}]
)
def test_settings_that_cannot_be_used(values):
    with pytest.raises(InputError, match=f'texts.{next(iter(values))}'):
        Settings(**values)
