"""SIGKILL in the middle of a run: the same bytes in the end, and next to nothing paid twice."""

import json
import random
import time

from phijax.data.client.journal import Journal
from tests.data.client import server, session

COUNT = 400
# Faults that no model sees, so that what was billed is what was answered.
RATES = {'limited_after': 0.01, 'error': 0.02}


def test_kills_change_nothing_and_cost_next_to_nothing(tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    with server.run() as running:
        process = session.start(running.url, whole, COUNT)
        assert process.wait(60) == 0
    points = sorted(random.Random(3).sample(range(20, COUNT - 60), 3))
    with server.run(server.Script(rates=RATES, latency=0.01)) as running:
        for point in points:
            process = session.start(running.url, killed, COUNT)
            while running.stats.answered < point and process.poll() is None:
                time.sleep(0.001)
            process.kill()
            assert process.wait() == -9
            assert not (killed / 'answers.jsonl').exists()
        process = session.start(running.url, killed, COUNT)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        stats = running.stats
    assert (killed / 'answers.jsonl').read_bytes() == (whole / 'answers.jsonl').read_bytes()
    distinct = len({request.key('m') for request in session.requests_of(COUNT)})
    assert distinct <= stats.billed_requests <= distinct + 3 * session.CONCURRENCY
    spent = json.loads(printed)
    assert spent['tokens'] >= stats.billed, 'what was in flight is charged'
    assert spent['replays'] > 0
    journal = Journal(killed)
    assert journal.totals().requests == spent['requests']
    journal.close()
