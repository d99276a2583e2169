"""Leaks planted in real files: what is found of each kind, and what honestly is not."""

import json
import re

import pytest

from phijax.data.filtering.decontaminate import Index, Item, Settings
from tests.data.filtering.decontaminate import planted

# Of the 164 problems of HumanEval, how many are found (at tau 0.95) and told as that problem, at
# least and at most. Rewording a question does nothing to its code; other code is another solution.
CODE_FOUND = {
    'verbatim': (164, 164),
    'docstring alone': (160, 164),
    'renamed, no comments': (164, 164),
    'reordered docstring, renamed': (164, 164),
    'reordered statements, renamed': (140, 155),
    'reworded, renamed': (164, 164),
    'restructured, renamed': (5, 15),
}
# The same of the 1319 problems of GSM8K, which have words alone.
TEXT_FOUND = {
    'verbatim': (1319, 1319),
    'question alone': (1319, 1319),
    'answer alone': (1290, 1309),
    'other layout, case and marks': (1319, 1319),
    'reordered sentences': (1150, 1200),
    'other numbers': (1000, 1050),
    'reworded': (0, 0),
}


@pytest.fixture(scope='module')
def library() -> dict[str, str]:
    return planted.stdlib()


@pytest.fixture(scope='module')
def hosts(library: dict[str, str], index: Index) -> list[str]:
    """A file of Python's library for each problem of HumanEval, none of which is dropped itself."""
    texts = [text for text in library.values() if 'def ' in text and len(text) < 8000][:170]
    findings = index.inspect(texts)
    kept = [text for text, f in zip(texts, findings, strict=True) if f.keep and not f.unparsed]
    return (kept * 2)[:164]


@pytest.mark.parametrize('kind', planted.CODE)
def test_recall_of_code(kind: str, index: Index, humaneval: list[Item], hosts: list[str]) -> None:
    texts = [
        f'{host}\n\n{planted.CODE[kind](item)}' for host, item in zip(hosts, humaneval, strict=True)
    ]
    found = index.inspect(texts)
    assert not any(finding.unparsed for finding in found)
    right = [
        not finding.keep and told(finding, item)
        for finding, item in zip(found, humaneval, strict=True)
    ]
    least, most = CODE_FOUND[kind]
    assert least <= sum(right) <= most
    # Precision: nothing is dropped for another problem than that which was planted.
    assert sum(not finding.keep for finding in found) == sum(right)


def told(finding, item: Item) -> bool:
    """Whether the document is dropped for that item."""
    words = finding.quote is not None and item.key in finding.quote.items
    return words or any(p.item == item.key and p.similarity >= 0.95 for p in finding.pairs)


@pytest.mark.parametrize('kind', planted.TEXT)
def test_recall_of_text(kind: str, index: Index, gsm8k: list[Item]) -> None:
    found = index.inspect([f'Some words.\n\n{planted.TEXT[kind](item)}\n\nEnd.' for item in gsm8k])
    right = sum(told(finding, item) for finding, item in zip(found, gsm8k, strict=True))
    least, most = TEXT_FOUND[kind]
    assert least <= right <= most
    assert sum(not finding.keep for finding in found) == right


def test_problems_that_only_look_alike_stay(index: Index) -> None:
    assert all(finding.keep for finding in index.inspect(planted.BENIGN))


def test_every_renamed_solution_of_humaneval_is_found_by_syntax(
    index: Index, humaneval: list[Item]
) -> None:
    found = index.inspect([planted.without_docstrings(item) for item in humaneval])
    for finding, item in zip(found, humaneval, strict=True):
        assert finding.reason == 'ast', item.key
        assert (item.key, 1.0) in {(pair.item, pair.similarity) for pair in finding.pairs}


# At most so many in 10,000 functions of Python's library, by match rate. All that were found are
# such as `return a + b`, which no benchmark can own.
FALSE = {0.95: 4, 0.9: 5, 0.85: 8, 0.8: 10}


def test_functions_that_are_falsely_found(
    index: Index, library: dict[str, str], record_property
) -> None:
    found = index.inspect(list(library.values()))
    functions = sum(finding.functions for finding in found)
    assert functions > 10_000
    assert not any(finding.quote for finding in found)
    for tau, limit in FALSE.items():
        places = {
            (number, pair.function, pair.line)
            for number, finding in enumerate(found)
            for pair in finding.pairs
            if pair.similarity >= tau
        }
        record_property(f'false at {tau}', f'{len(places)} of {functions} functions')
        assert 10_000 * len(places) / functions <= limit


def test_small_solutions_would_match_everything(
    humaneval: list[Item], library: dict[str, str], index: Index
) -> None:
    """What `min_nodes` is for: without it, one function in a hundred is such a solution."""
    texts = list(library.values())[:100]
    whole = Index.build(humaneval, Settings(benchmarks=('humaneval',), min_nodes=1))
    counts = [
        sum(finding.reason == 'ast' for finding in each.inspect(texts)) for each in (whole, index)
    ]
    assert counts[0] > 5 * max(counts[1], 1)


def test_a_pair_has_the_functions_own_text(index: Index, humaneval: list[Item]) -> None:
    code = planted.without_docstrings(humaneval[0])
    text = f'"""A\x0c\u2028"""\r\nimport os\r\n\r\nclass A:\r\n    def f(self): pass\n\n{code}'
    [finding] = index.inspect([text])
    [pair] = finding.pairs
    assert pair.source.startswith(f'def {pair.function}(')
    assert text.splitlines()[-1] == pair.source.splitlines()[-1]
    assert re.split('\r\n|\n', text)[pair.line - 1].startswith('def ')


def test_rows_are_plain_and_alike(index: Index, humaneval: list[Item]) -> None:
    item = humaneval[0]
    texts = [item.code, planted.without_docstrings(item), 'nothing', '']
    rows = [finding.as_row() for finding in index.inspect(texts)]
    assert json.loads(json.dumps(rows)) == rows
    assert [row['reason'] for row in rows] == ['ngram', 'ast', '', '']
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    assert rows[1]['similar_item'] == item.key
    assert rows[0]['quoted_item'] == item.key
    assert rows[0]['quoted_text'] in item.code


def test_no_texts(index: Index) -> None:
    assert index.inspect([]) == []


def test_texts_do_not_depend_on_their_neighbours(index: Index, humaneval: list[Item]) -> None:
    texts = ['def f(', *(item.code for item in humaneval[:20]), '\ud800 def', 'def f(a): return a']
    assert index.inspect(texts) == [index.inspect([text])[0] for text in texts]


def test_coverage_counts_every_item_and_solution(index: Index) -> None:
    coverage = index.coverage()
    assert json.loads(json.dumps(coverage)) == coverage
    rows = coverage['benchmarks']
    assert {name: row['items'] for name, row in rows.items()} == {
        'humaneval': 164,
        'mbpp': 500,
        'gsm8k': 1319,
    }
    for name in ('humaneval', 'mbpp'):
        solutions = ('by_signature', 'by_spelling', 'unreadable')
        assert sum(rows[name][column] for column in solutions) == rows[name]['items']
    assert rows['humaneval']['by_spelling'] == 26
    assert len(coverage['no_words']) == sum(row['no_words'] for row in rows.values())
    assert coverage['digest'] == index.digest
