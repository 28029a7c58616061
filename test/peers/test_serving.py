"""What the stand-ins have in common."""

import asyncio
import types

import pytest

from . import serving


@pytest.mark.parametrize("gone", [False, True], ids=["waits", "gone"])
def test_a_client_that_has_gone_is_no_error(gone):
    written = []

    async def write(data):
        if gone:
            raise ConnectionResetError("Cannot write to closing transport")
        written.append(data)

    request = types.SimpleNamespace(writer=types.SimpleNamespace(write=write, output_size=25))
    answer = asyncio.run(serving.expect(request))
    assert (answer.status == 499 and written == []) if gone else (answer is None and written == [b"HTTP/1.1 100 Continue\r\n\r\n"])
