"""Where documents come from: files by pattern, what is installed, a data set of the hub."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import itertools
import json
import os
import stat
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from phijax.data import document
from phijax.data.document import Document, Dropped
from phijax.data.errors import MissingDataError
from phijax.errors import InputError

Found = Iterator[Document | Dropped]

NOT_LIBRARY = {'site-packages', 'dist-packages', '__pycache__', 'test', 'tests', 'idle_test'}


class Source(Protocol):
    """A set of documents in an order that is the same every time.

    Attributes:
        form: what a document is: `text`, all of which is learned, or a record of `chats`.
    """

    kind: ClassVar[str]
    form: ClassVar[str]

    @property
    def max_bytes(self) -> int:
        """Reading ends with the document that reaches this; 0 is no bound."""

    def read(self, name: str) -> Found:
        """The documents, named after their source, and whatever could not be one."""


class TextSource(Source, Protocol):
    """A source of texts, which can be read in shares."""

    def read(self, name: str, index: int = 0, count: int = 1) -> Found:
        """As of `Source`, of the share `index` of `count`; all shares together are the whole."""


@dataclass(frozen=True)
class Files:
    """Files by pattern: .jsonl and .parquet have a document a row, any other file is a document.

    Attributes:
        paths: glob patterns; `**` crosses directories.
        column: the field of the rows that has the text.
        max_bytes: reading ends with the document that reaches this; 0 is no bound.
    """

    kind: ClassVar[str] = 'files'
    form: ClassVar[str] = 'text'
    paths: tuple[str, ...]
    column: str = 'text'
    max_bytes: int = 0

    def read(self, name: str, index: int = 0, count: int = 1) -> Found:
        """The documents in the order of the sorted paths.

        A share is every `count`-th file, or every `count`-th row where the files are fewer.

        Raises:
            MissingDataError: if no file matches.
        """
        paths = matching(self.paths, name)
        by_row = len(paths) < count
        for path in paths if by_row else paths[index::count]:
            rows = _read_rows(Path(path), self.column, name)
            yield from itertools.islice(rows, index, None, count) if by_row else rows


@dataclass(frozen=True)
class StandardLibrary:
    """The running interpreter's own Python files without its tests: about 700 files, 12 MB.

    The order is by the hash of the path, so that any first `max_bytes` is a fair sample.
    """

    kind: ClassVar[str] = 'stdlib'
    form: ClassVar[str] = 'text'
    max_bytes: int = 0

    def read(self, name: str, index: int = 0, count: int = 1) -> Found:
        """The documents.

        Raises:
            MissingDataError: if the interpreter keeps its library elsewhere than in files.
        """
        root = Path(sysconfig.get_paths()['stdlib'])
        for path in library_files()[index::count]:
            yield _read_text(root / path, name, path.as_posix())


@dataclass(frozen=True)
class Installed:
    """Every Python file of the running interpreter: its library, and the packages beside it.

    Real code of very mixed quality, tests and generated files among it. The order is by the hash of
    the path, so that any first `max_bytes` is a fair sample.

    Attributes:
        exclude: patterns of paths below a package's root, such as `algorithms/*`, to leave out.
    """

    kind: ClassVar[str] = 'installed'
    form: ClassVar[str] = 'text'
    exclude: tuple[str, ...] = ()
    max_bytes: int = 0

    def read(self, name: str, index: int = 0, count: int = 1) -> Found:
        """The documents, whose paths are below the library's or the packages' root."""
        for path, root in self._files()[index::count]:
            yield _read_text(root / path, name, path.as_posix())

    def _files(self) -> list[tuple[Path, Path]]:
        """Paths and their roots; a path that two roots have is the first one's."""
        places = sysconfig.get_paths()
        roots = dict.fromkeys(Path(places[key]) for key in ('stdlib', 'purelib', 'platlib'))
        found: dict[Path, Path] = {}
        for root in roots:
            for path in root.rglob('*.py'):
                relative = path.relative_to(root)
                if not {'site-packages', '__pycache__'}.intersection(relative.parts):
                    found.setdefault(relative, root)
        wanted = [path for path in found if not self._is_excluded(path)]
        return [(path, found[path]) for path in sorted(wanted, key=_scatter)]

    def _is_excluded(self, path: Path) -> bool:
        return any(fnmatch.fnmatchcase(path.as_posix(), pattern) for pattern in self.exclude)


@dataclass(frozen=True)
class Hub:
    """A data set of the Hugging Face hub, streamed, through the optional `datasets` package.

    Attributes:
        dataset: its name, such as `tiiuae/falcon-refinedweb`.
        column: the field of the rows that has the text.
        subset: the configuration's name, where it has several.
        data_dir: the folder, where it has several, such as `data/python`.
        split: of the data set; our own held-out split is taken from it.
        revision: a commit, for data that stay the same.
        max_bytes: streaming ends with the document that reaches this; 0 is no bound.
    """

    kind: ClassVar[str] = 'hub'
    form: ClassVar[str] = 'text'
    dataset: str
    column: str = 'text'
    subset: str = ''
    data_dir: str = ''
    split: str = 'train'
    revision: str = ''
    max_bytes: int = 0

    def read(self, name: str, index: int = 0, count: int = 1) -> Found:
        """The documents in the order of the data set.

        Raises:
            InputError: if the package is missing, or the hub does not give the data set.
        """
        rows = enumerate(self._rows(name))
        for number, row in itertools.islice(rows, index, None, count):
            yield _from_row(row, self.column, name, f'{self.dataset}#{number}')

    def _rows(self, name: str) -> Iterable[Any]:
        try:
            import datasets
        except ImportError as error:
            raise InputError(
                f'Source {name} streams {self.dataset} from the Hugging Face hub, which needs the '
                "datasets package: pip install 'phijax[hf]'."
            ) from error
        try:
            return datasets.load_dataset(
                self.dataset,
                self.subset or None,
                data_dir=self.data_dir or None,
                split=self.split,
                revision=self.revision or None,
                streaming=True,
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().split('\n')[0]
            raise InputError(
                f'Source {name}: the hub did not give {self.dataset} '
                f'({type(error).__name__}: {reason}). It needs a network; if the data set is gated '
                f'(The Stack is), accept its terms at https://huggingface.co/datasets/'
                f'{self.dataset} and run `hf auth login` first.'
            ) from error


def matching(patterns: Sequence[str], name: str) -> list[str]:
    """The files that match, sorted.

    Raises:
        MissingDataError: if none does; `name` is that of the source.
    """
    found = {
        path
        for pattern in patterns
        for path in glob.glob(os.path.expanduser(pattern), recursive=True)
        if not os.path.isdir(path)
    }
    if not found:
        raise MissingDataError(f'Source {name}: no file matches {", ".join(patterns)}.')
    return sorted(found)


def library_files() -> list[Path]:
    """The standard library's Python files without its tests, below its root, in a fixed order.

    Raises:
        MissingDataError: if the interpreter keeps its library elsewhere than in files.
    """
    root = Path(sysconfig.get_paths()['stdlib'])
    relative = {path.relative_to(root) for path in root.rglob('*.py')}
    chosen = [path for path in relative if not NOT_LIBRARY.intersection(path.parts)]
    if not chosen:
        raise MissingDataError(f'There are no Python files below {root}.')
    return sorted(chosen, key=_scatter)


def _scatter(path: Path) -> bytes:
    return hashlib.sha256(path.as_posix().encode()).digest()


def _read_rows(path: Path, column: str, source: str) -> Found:
    if path.suffix == '.parquet':
        yield from _read_parquet(path, column, source)
    elif path.suffix == '.jsonl':
        yield from _read_json_lines(path, column, source)
    else:
        yield _read_text(path, source, str(path))


def _read_text(path: Path, source: str, name: str) -> Document | Dropped:
    reason = _why_unreadable(path)
    if reason:
        return Dropped(reason, name)
    try:
        raw = path.read_bytes()
    except OSError as error:
        return Dropped(_reason(error), name)
    return document.make(raw, source, name)


def _read_parquet(path: Path, column: str, source: str) -> Found:
    reason = _why_unreadable(path)
    if reason:
        yield Dropped(reason, str(path))
        return
    for index, value in enumerate(document.read_column(path, column)):
        if isinstance(value, Dropped):
            yield value
        else:
            yield document.make(value, source, f'{path}#{index}')


def _read_json_lines(path: Path, column: str, source: str) -> Found:
    reason = _why_unreadable(path)
    if reason:
        yield Dropped(reason, str(path))
        return
    try:
        with path.open('rb') as lines:
            for index, line in enumerate(lines):
                yield _from_json(line, column, source, f'{path}#{index}')
    except OSError as error:
        yield Dropped(_reason(error), str(path))


def _from_json(line: bytes, column: str, source: str, path: str) -> Document | Dropped:
    if not line.strip():
        return Dropped('empty', path)
    try:
        row = json.loads(line)
    except UnicodeDecodeError:
        return Dropped('not_utf8', path)
    except (ValueError, RecursionError):
        return Dropped('corrupt_json', path)
    return _from_row(row, column, source, path)


def _from_row(row: Any, column: str, source: str, path: str) -> Document | Dropped:
    if not isinstance(row, dict) or column not in row:
        return Dropped('missing_column', path)
    return document.make(row[column], source, path)


def _why_unreadable(path: Path) -> str:
    try:
        # Opening a pipe or a device could wait for ever.
        return '' if stat.S_ISREG(path.stat().st_mode) else 'unreadable'
    except OSError as error:
        return _reason(error)


def _reason(error: OSError) -> str:
    return 'vanished' if isinstance(error, FileNotFoundError) else 'unreadable'
