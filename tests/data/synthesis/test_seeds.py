"""Extracts of documents: where they begin and end, and which are taken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data import document, engines, stage
from phijax.data.document import Document
from phijax.data.stage import Stage
from phijax.data.synthesis import seeds
from phijax.data.synthesis.seeds import Settings
from phijax.errors import InputError

SMALL = Settings(max_characters=120, min_characters=40)


def of(text, settings=SMALL):
    return seeds.extract(Document(document.identify(text), text, 's', 'p'), settings)


@given(st.text(alphabet='ab. \n', max_size=600))
def test_an_extract_is_part_of_the_text_and_not_too_long(text):
    found = of(text)
    assert len(found) <= 120
    assert ''.join(found.split()) in ''.join(text.split())


def test_an_extract_begins_with_a_paragraph_and_ends_with_a_sentence():
    paragraphs = [f'Paragraph {n} begins. It has a second sentence of its own.' for n in range(9)]
    found = of('\n\n'.join(paragraphs))
    assert found.startswith('Paragraph ')
    assert found.endswith('.')
    assert len(found) >= 40


def test_short_documents_have_none():
    assert of('Short.') == ''
    assert of('') == ''


def run(path, tmp_path, **changes):
    values = {'max_extracts': 5, 'max_characters': 120, 'min_characters': 40, 'seed': 0} | changes
    settings = {
        'sources': {'web': {'kind': 'files', 'paths': [str(path)]}},
        'seeds': values,
    }
    each = Stage('seeds', seeds.work, groups=('sources', 'seeds'), is_single=True)
    step = stage.make_step(each, tmp_path, 1, settings, {}, {})
    stage.run(each, step, engines.make('local', 1))
    [account] = step.accounts()
    return account, [i for group in document.read(step.part('extracts', 0)) for i in group]


def test_documents_are_drawn_and_counted(tmp_path):
    texts = [f'A document with the number {n}, long enough to be an extract.' for n in range(20)]
    file = tmp_path / 'web.jsonl'
    rows = [*texts, texts[0], 'too short']
    file.write_text(''.join(json.dumps({'text': text}) + '\n' for text in rows))
    account, found = run(file, tmp_path / 'a')
    assert account.given == 22
    assert account.dropped == {'duplicate': 1, 'not_drawn': 15, 'too_short': 1}
    assert len(found) == 5
    assert {each.id for each in found} <= {document.identify(text) for text in texts}
    # Which are drawn does not depend on the order.
    file.write_text(''.join(json.dumps({'text': text}) + '\n' for text in reversed(rows)))
    assert {each.id for each in run(file, tmp_path / 'b')[1]} == {each.id for each in found}
    assert {each.id for each in run(file, tmp_path / 'c', seed=1)[1]} != {i.id for i in found}


@pytest.mark.parametrize(
    'values', [{'max_extracts': 0}, {'max_characters': 1001}, {'max_characters': 100}]
)
def test_settings_that_cannot_be_used(values):
    with pytest.raises(InputError, match=f'seeds.{next(iter(values))}'):
        Settings(**values)
