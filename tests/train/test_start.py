"""Processes that cannot find each other are told so before jax is asked: it would crash."""

import re
import socket

import pytest

from phijax.errors import InputError
from phijax.train import start


@pytest.mark.parametrize(
    ('arguments', 'answer'),
    [
        (('', 2, None), '--num_processes and --process_id also need --coordinator=HOST:PORT'),
        (('', None, 0), '--num_processes and --process_id also need --coordinator=HOST:PORT'),
        (('host:1234', None, 0), '--coordinator=HOST:PORT also needs --num_processes and --proc'),
        (('host:1234', 2, None), '--coordinator=HOST:PORT also needs --num_processes and --proc'),
        (('host', 2, 1), "--coordinator must be HOST:PORT or auto, got 'host'"),
        (('host:', 2, 1), "--coordinator must be HOST:PORT or auto, got 'host:'"),
        ((':1234', 2, 1), "--coordinator must be HOST:PORT or auto, got ':1234'"),
        (('host:http', 2, 1), "--coordinator must be HOST:PORT or auto, got 'host:http'"),
        (('host:65536', 2, 1), "--coordinator must be HOST:PORT or auto, got 'host:65536'"),
        (('host:1234', 2, 2), '--process_id must be from 0 to 1 (--num_processes less 1), got 2'),
        (('host:1234', 2, -1), '--process_id must be from 0 to 1 (--num_processes less 1), got -1'),
    ],
)
def test_processes_that_cannot_be(arguments: tuple, answer: str) -> None:
    with pytest.raises(InputError, match=re.escape(answer)):
        start.connect(*arguments)


def test_port_that_is_taken() -> None:
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f'cannot listen on port {port} .*in use'):
            start.connect(f'127.0.0.1:{port}', 1, 0)
