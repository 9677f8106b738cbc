import socket
from pathlib import Path

import pytest
from aiohttp import web

from flamenco_runtime.control_socket import NobodyThere, calling, serving_on


def an_app(said: str = "hello") -> web.Application:
    async def greet(_: web.Request) -> web.Response:
        return web.Response(text=said)

    app = web.Application()
    app.add_routes([web.get("/", greet)])
    return app


async def asked(path: Path) -> str:
    async with calling(path) as session, session.get("http://service/") as response:
        return await response.text()


async def test_what_is_served_at_a_socket_file_is_its_owners_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving_on(an_app(), path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert await asked(path) == "hello"
    assert not path.exists()
    with pytest.raises(NobodyThere, match=r"Nobody answers at .*control\.sock"):
        await asked(path)


async def test_a_socket_file_that_a_killed_service_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with pytest.raises(NobodyThere):
        await asked(path)
    async with serving_on(an_app("new"), path):
        assert await asked(path) == "new"


async def test_a_data_folder_may_have_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    async with serving_on(an_app(), folder / "control.sock"):
        assert [file.name for file in folder.iterdir()] == ["control.sock"]
        assert await asked(folder / "control.sock") == "hello"
    assert not list(folder.iterdir())
