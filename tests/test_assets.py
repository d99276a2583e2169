"""Assets: downloaded once by pip, checked always, and refused when they are not what was pinned."""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator

import pytest

from phijax import assets

FILES = {'planted/data/words.txt': b'one two', 'planted/data/more/a': b'A', 'planted/other': b'?'}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def build_wheel(directory: pathlib.Path, files: dict[str, bytes] = FILES) -> assets.Asset:
    """A real wheel on disk, and the asset that pins it."""
    information = 'planted-1.0.dist-info'
    metadata = {
        f'{information}/METADATA': b'Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n',
        f'{information}/WHEEL': b'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        f'{information}/RECORD': b'',
    }
    listing = f'{sha256(b"A")}  a\n'
    path = directory / 'planted-1.0-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in (files | metadata).items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return assets.Asset(
        requirement='planted==1.0',
        sha256=sha256(path.read_bytes()),
        megabytes=0.1,
        folder='planted/data/',
        members=f'{sha256(b"one two")}  words.txt\n{sha256(listing.encode())}  more/',
        licence='MIT',
        holds='words',
    )


@pytest.fixture
def shelf(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A directory that is all of the package registry, and an empty cache beside it."""
    (tmp_path / 'shelf').mkdir()
    monkeypatch.setenv('PHIJAX_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(tmp_path / 'shelf'))
    monkeypatch.setitem(assets.ASSETS, 'planted', build_wheel(tmp_path / 'shelf'))
    return tmp_path / 'shelf'


def empty(directory: pathlib.Path) -> None:
    for path in directory.iterdir():
        path.unlink()


def test_fetch_extracts_the_members_and_nothing_else(shelf: pathlib.Path) -> None:
    directory = assets.fetch('planted')
    assert (directory / 'words.txt').read_bytes() == b'one two'
    assert (directory / 'more' / 'a').read_bytes() == b'A'
    assert len([path for path in directory.rglob('*') if path.is_file()]) == 2


def test_fetch_downloads_once(shelf: pathlib.Path) -> None:
    first = assets.fetch('planted')
    empty(shelf)
    assert assets.fetch('planted') == first


@pytest.mark.parametrize('damage', ['flip', 'truncate', 'delete', 'add'])
def test_fetch_replaces_what_was_damaged(shelf: pathlib.Path, damage: str) -> None:
    directory = assets.fetch('planted')
    words = directory / 'words.txt'
    if damage == 'flip':
        words.write_bytes(b'one twp')
    elif damage == 'truncate':
        words.write_bytes(b'')
    elif damage == 'delete':
        words.unlink()
    else:
        (directory / 'more' / 'b').write_bytes(b'')
    member = 'more/' if damage == 'add' else 'words.txt'
    assert assets.damaged('planted') == [member]
    assert (assets.fetch('planted') / 'words.txt').read_bytes() == b'one two'
    assert assets.damaged('planted') == []
    assert [path.name for path in directory.parent.iterdir() if path.is_dir()] == [directory.name]


def test_other_package_is_refused(shelf: pathlib.Path) -> None:
    empty(shelf)
    found = build_wheel(shelf, {'planted/data/words.txt': b'one two!'}).sha256
    with pytest.raises(assets.AssetError) as caught:
        assets.fetch('planted')
    assert found in str(caught.value)
    assert assets.ASSETS['planted'].sha256 in str(caught.value)
    assert assets.damaged('planted') == ['words.txt', 'more/']


def test_other_member_is_refused(shelf: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = dataclasses.replace(assets.ASSETS['planted'], members=f'{"0" * 64}  words.txt')
    monkeypatch.setitem(assets.ASSETS, 'planted', pinned)
    with pytest.raises(assets.AssetError, match=r'other files than pinned: words\.txt'):
        assets.fetch('planted')


def test_missing_package_says_what_to_do(shelf: pathlib.Path) -> None:
    empty(shelf)
    with pytest.raises(assets.AssetError) as caught:
        assets.fetch('planted')
    for part in ('planted==1.0', 'No matching distribution', 'python -m phijax.assets fetch'):
        assert part in str(caught.value)


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        assets.AssetError, match="no asset 'gpt3'; there are gpt2-vocabulary, llama2"
    ):
        assets.fetch('gpt3')


def test_open_member(shelf: pathlib.Path) -> None:
    with assets.open_member('planted', 'more/a') as file:
        assert file.read() == b'A'
    with pytest.raises(assets.AssetError, match=r"no file 'less/a'; it has words\.txt, more/"):
        assets.open_member('planted', 'less/a')


def test_processes_wait_for_one_download(shelf: pathlib.Path) -> None:
    """Of four processes that start together, one runs pip; the others find its files."""
    pinned = json.dumps(dataclasses.asdict(assets.ASSETS['planted']))
    code = (
        'import json, sys\nfrom phijax import assets\n'
        'assets.ASSETS["planted"] = assets.Asset(**json.loads(sys.argv[1]))\n'
        'download, downloads = assets._download, []\n'
        'assets._download = lambda *a: downloads.append(a) or download(*a)\n'
        'directory = assets.fetch("planted")\n'
        'print(len(downloads), (directory / "words.txt").read_text())'
    )

    def run(_: int) -> str:
        return subprocess.check_output([sys.executable, '-c', code, pinned], text=True).strip()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        printed = sorted(pool.map(run, range(4)))
    assert printed == ['0 one two'] * 3 + ['1 one two']


def test_command(shelf: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert assets.main(['list']) == 0
    assert 'planted==1.0             0.1 MB  to fetch  words (MIT)' in capsys.readouterr().out
    assert assets.main(['fetch', 'planted']) == 0
    assert (pathlib.Path(capsys.readouterr().out.strip()) / 'words.txt').is_file()
    assert assets.main(['list']) == 0
    assert 'planted==1.0             0.1 MB  cached ' in capsys.readouterr().out


def test_command_answers_a_wrong_name_in_one_line(run_command: Callable) -> None:
    result = run_command('phijax.assets', 'fetch', 'nothing')
    assert result.returncode == 2
    assert result.stderr.startswith("error: There is no asset 'nothing'; there are ")
    assert result.stderr.count('\n') == 1


@pytest.mark.parametrize('name', ['gpt2-vocabulary', 'cl100k-ranks', 'humaneval', 'mbpp-shots'])
def test_small_assets(asset: Callable[[str], pathlib.Path], name: str) -> None:
    assert {path.name for path in asset(name).iterdir()} == set(assets.ASSETS[name].digests())


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    'name', ['benchmarks', 'hellaswag', 'llama2-vocabulary', 'mmlu', 'smollm2-135m']
)
def test_large_assets(asset: Callable[[str], pathlib.Path], name: str) -> None:
    assert asset(name).is_dir()
    assert assets.damaged(name) == []


@pytest.mark.parametrize(('ci', 'outcome'), [('true', pytest.fail), ('', pytest.skip)])
def test_missing_asset_fails_in_ci_and_skips_elsewhere(
    asset: Callable[[str], pathlib.Path],
    monkeypatch: pytest.MonkeyPatch,
    shelf: pathlib.Path,
    ci: str,
    outcome: Callable,
) -> None:
    empty(shelf)
    monkeypatch.setenv('CI', ci)
    with pytest.raises(outcome.Exception, match='pip could not download planted'):
        asset('planted')


def test_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PHIJAX_CACHE', '')
    assert assets.cache_directory() == pathlib.Path.home() / '.cache' / 'phijax'
    monkeypatch.setenv('PHIJAX_CACHE', os.sep + 'elsewhere')
    assert assets.cache_directory() == pathlib.Path('/elsewhere')
