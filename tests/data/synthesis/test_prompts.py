"""Templates: our own with our own factors, and every way in which one can be wrong."""

import re

import pytest

from phijax.data.errors import MissingDataError
from phijax.data.synthesis import prompts
from phijax.data.synthesis.factors import Sampler
from phijax.errors import InputError

VIEWS = {
    'code': ('topic', 'both'),
    'knowledge': ('topic', 'extract'),
    'commonsense': ('topic', 'extract'),
    'dialogue': ('topic',),
}
KINDS = tuple(VIEWS)
HEAD = '---\nabout: a thing\nsystem: You write.\n---\n'
SHOWN = {'topic': 'merge sort', 'area': 'sorting', 'extract': 'EXTRACT'}


@pytest.mark.parametrize('kind', KINDS)
def test_our_levels_cover_evenly_and_fill_our_templates(kind):
    levels, templates = prompts.load_levels(kind), prompts.load(kind)
    named = {name: list(texts) for name, texts in levels.items()}
    Sampler({'topic': ['a'], 'form': list(templates), 'view': VIEWS[kind], **named})
    first = {name: next(iter(texts.values())) for name, texts in levels.items()}
    for form, template in templates.items():
        assert template.needs <= {*levels, 'topic', 'area', 'extract', 'view'}
        for view in VIEWS[kind]:
            system, user = template.render({**first, **SHOWN, 'view': view})
            assert system == {'role': 'system', 'content': template.system}
            assert re.search(r'[{}]{2}|\n{3}', user['content']) is None, form
            assert ('merge sort' in user['content']) == (view != 'extract')
            assert ('EXTRACT' in user['content']) == (view != 'topic')


@pytest.mark.parametrize('kind', KINDS)
def test_our_audiences_are_paragraphs(kind):
    for name, text in prompts.load_levels(kind)['audience'].items():
        assert len(text.split()) >= 15, name


def test_a_template_is_known_by_its_text():
    one, same, other = (prompts.parse(HEAD + body, 'k/f') for body in ('a', 'a', 'a,'))
    assert one == same
    assert one.digest != other.digest
    assert len(one.digest) == 64


def test_a_missing_factor_is_named():
    template = prompts.parse(HEAD + 'About {{ topic }} for {{ audience }}', 'code/lesson')
    with pytest.raises(InputError, match=r'code/lesson needs audience, and was given topic'):
        template.render({'topic': 'x'})
    assert template.needs == {'topic', 'audience'}


def test_what_a_condition_leaves_out_is_not_missing():
    template = prompts.parse(HEAD + "{% if view == 'a' %}{{ extract }}{% endif %}x", 'k/f')
    assert template.render({'view': 'b'})[1]['content'] == 'x'


def test_values_are_text_and_not_templates():
    template = prompts.parse(HEAD + '{{ extract }}', 'k/f')
    assert template.render({'extract': '{{ 7 * 7 }} & <b>'})[1]['content'] == '{{ 7 * 7 }} & <b>'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('Write.', 'k/f must begin with a head'),
        ('---\nabout: x\n---\nWrite.', 'k/f has about; it must have about and system'),
        ('---\nabout: x\nsystem: y\nmore: z\n---\nWrite.', 'about, system, more'),
        (HEAD + 'Write\n{% if x %}', 'k/f, line 6'),
        (HEAD + '{{ x | nothing }}', 'k/f, line 5'),
    ],
)
def test_a_wrong_file_is_named(text, message):
    with pytest.raises(InputError, match=message):
        prompts.parse(text, 'k/f')


@pytest.mark.parametrize(
    'body', ["{{ ''.__class__.__mro__ }}", '{{ x.__init__ }}', '{{ 1 // 0 }}', "{% include 'a' %}"]
)
def test_a_template_reaches_nothing_but_its_values(body):
    with pytest.raises(InputError, match='k/f'):
        prompts.parse(HEAD + body, 'k/f').render({'x': 'y'})


def test_templates_and_levels_of_a_user(tmp_path):
    (tmp_path / 'own.jinja').write_text(HEAD + '{{ mood }}')
    (tmp_path / 'levels.txt').write_text('mood\n  glad: Be glad.\n  sad\n')
    assert prompts.load('code', str(tmp_path))['own'].name == 'code/own'
    found = prompts.load_levels('code', str(tmp_path / 'levels.txt'))
    assert found == {'mood': {'glad': 'Be glad.', 'sad': 'sad'}}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('mood\n  glad\n  glad: again\n', "line 3: 'glad: again' is there already"),
        ('mood\n  glad\nmood\n', "line 3: 'mood' has no place"),
        ('mood\n  glad\n    very\n', "line 3: 'very' has no place"),
    ],
)
def test_wrong_levels_are_named(tmp_path, text, message):
    (tmp_path / 'levels.txt').write_text(text)
    with pytest.raises(InputError, match=message):
        prompts.load_levels('code', str(tmp_path / 'levels.txt'))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingDataError, match='no templates'):
        prompts.load('code', str(tmp_path))
    with pytest.raises(MissingDataError, match='cannot be read'):
        prompts.load_levels('code', str(tmp_path / 'none.txt'))
