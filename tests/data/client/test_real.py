"""A real language model behind a real server, asked for JSON: SmolLM2 of 135M in llama.cpp."""

import json
import socket

import pytest

from phijax.data.client import Budget, Client, Endpoint, Request

SCHEMA = {
    'type': 'object',
    'properties': {
        'score': {'type': 'integer', 'minimum': 0, 'maximum': 5},
        'reader': {'type': 'string', 'enum': ['beginner', 'expert']},
    },
    'required': ['score', 'reader'],
    'additionalProperties': False,
}
ASKED = (
    'How much does this teach a beginner, from 0 to 5, and who is it for?\n\n'
    'def add(a, b):\n    return a + b'
)


@pytest.fixture(scope='module')
def llama(asset):
    """llama.cpp's server, in this process."""
    xllamacpp = pytest.importorskip('xllamacpp')
    [path] = asset('smollm2-135m').glob('*.gguf')
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx, settings.n_parallel = 2048, 2
    settings.hostnames = ['127.0.0.1']
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        settings.port = free.getsockname()[1]
    return xllamacpp.Server(settings)


@pytest.mark.slow
def test_a_real_model_answers_in_json_and_is_asked_once(llama, tmp_path):
    endpoint = Endpoint(f'{llama.listening_address}/v1', 'smollm2', max_concurrency=2)
    requests = [
        Request(({'role': 'user', 'content': f'{ASKED} # {n}'},), 100, 0.0, seed=1, schema=SCHEMA)
        for n in range(3)
    ]
    with Client(endpoint, Budget(20_000), tmp_path) as client:
        answers = list(client.complete(requests))
        spent = client.spent
        assert list(client.complete(requests)) == answers
        assert client.spent.requests == spent.requests
    assert {answer.status for answer in answers} == {'ok'}
    for answer in answers:
        assert 0 <= answer.value['score'] <= 5
        assert json.loads(answer.text) == answer.value
        assert answer.usage.prompt < len(ASKED) + 200
    assert spent.unknown_tokens == 0
    assert spent.tokens == sum(sum(answer.usage) for answer in answers)
