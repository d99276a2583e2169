"""Conversations and pairs: records that the tokeniser's sources take, through the whole chain."""

import json

import pytest

from phijax.data import document, engines, synthesis
from phijax.data.client import Answer
from phijax.data.document import Document
from phijax.data.synthesis import chain, dialogue, records
from phijax.data.synthesis.dialogue import Flawed
from phijax.data.tokenize.chats import Chats, Preferences
from tests.data.client import server
from tests.data.client.server import Script
from tests.data.synthesis import runs, teacher

TALK = {
    'messages': [
        {'role': 'user', 'content': 'How does one sort a list of names by their length in Python?'},
        {'role': 'assistant', 'content': 'Call sorted with key=len; it leaves the list as it was.'},
    ]
}


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """The steps of a run."""
    root = tmp_path_factory.mktemp('dialogue')
    with server.run(Script(write=teacher.write)) as running:
        changes = {'texts': {'kind': 'dialogue'}, 'pairs': {'samples': 25}}
        config = synthesis.from_dict(runs.config(running.url, root, 40, **changes))
        synthesis.run(config, root / 'run', engines.make('local', 1))
        return chain.run(config, root / 'run', engines.make('local', 1))


def test_conversations_are_a_source_of_the_tokeniser(done):
    path = done['pairs'].part('conversations', 0, '.jsonl')
    found = list(Chats((str(path),)).read('chats'))
    assert len(found) == done['texts'].accounts()[0].kept > 30
    texts = [json.loads(item.text) for item, _ in records.read(done['texts'])]
    assert [json.loads(each.text) for each in found] == texts
    assert all(isinstance(each, Document) for each in found)


def test_pairs_are_a_source_of_the_tokeniser(done):
    path = done['pairs'].part('preferences', 0, '.jsonl')
    found = list(Preferences((str(path),)).read('pairs'))
    assert len(found) == done['pairs'].accounts()[0].kept > 20
    talks = {item.id: json.loads(item.text)['messages'] for item, _ in records.read(done['texts'])}
    for each, (_, row) in zip(found, records.read(done['pairs']), strict=True):
        record = json.loads(each.text)
        talk = talks[row['seeds'][0]]
        assert [*record['messages'], {'role': 'assistant', 'content': record['chosen']}] == talk
        assert document.identify(record['rejected']) == row['id']
        assert json.loads(row['factors'])['flaw']


def test_what_is_measured_is_what_people_say(done):
    for window in done['texts'].accounts()[0].facts['windows']:
        assert window['values']['opening'] < 0.2, 'the JSON around it is the same everywhere'


def test_roles_and_contents_of_a_record_are_checked():
    assert dialogue.check(json.dumps(TALK)) == ''
    assert 'not of the assistant' in dialogue.check(json.dumps({'messages': TALK['messages'][:1]}))
    twice = {'messages': [TALK['messages'][0]] * 2 + TALK['messages'][1:]}
    assert dialogue.check(json.dumps(twice)) != ''
    assert dialogue.check('no record') == 'it was not JSON'
    assert dialogue.said('no record') == 'no record'
    assert dialogue.said(json.dumps(TALK)).startswith('How does one sort')


def test_fields_that_were_not_asked_for_are_left_out():
    value = {'messages': [turn | {'mood': 'glad'} for turn in TALK['messages']], 'more': 1}
    assert json.loads(dialogue.text(Answer('k', 'ok', 'x', value))) == TALK
    assert dialogue.text(Answer('k', 'invalid', ' x ')) == 'x'


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('Call list.sort with key=len, which returns the sorted list to you.', ''),
        (TALK['messages'][1]['content'], 'unchanged'),
        ('', 'refused'),
        (teacher.REFUSAL, 'refused'),
    ],
)
def test_a_rewritten_answer_must_differ(text, reason):
    kind = Flawed([Document('id', json.dumps(TALK), 's', 'p')])
    prompt = kind.prompt(0, kind.sampler(0))
    assert prompt.seeds == ('id',)
    assert TALK['messages'][1]['content'] in prompt.messages[1]['content']
    found = kind.check(prompt, text)
    assert (found.reason if found else '') == reason
    if not found:
        assert kind.pair(prompt, text)['rejected'] == text
        assert kind.pair(prompt, text)['messages'] == TALK['messages'][:1]
