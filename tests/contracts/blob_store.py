"""What every engine for file contents promises (``BlobStore``)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from flamenco_server.blobs import BadDigest, BlobStore, NoSuchBlob, WrongContents

CONTENTS = b"what a blend file holds" * 1000
DIGEST = hashlib.sha256(CONTENTS).hexdigest()
NOT_DIGESTS = ["", "abc", "..", "/etc/passwd", "../" + DIGEST, DIGEST.upper(), DIGEST + "0", DIGEST + "\n"]


async def pieces(contents: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(contents), size):
        yield contents[start : start + size]


class BlobStoreContract:
    @pytest.fixture
    async def blobs(self) -> BlobStore:
        raise NotImplementedError("the test of an engine overrides this fixture")

    async def test_what_was_received_can_be_read(self, blobs: BlobStore) -> None:
        assert await blobs.receive(DIGEST, pieces(CONTENTS)) is True
        assert (await blobs.file(DIGEST)).read_bytes() == CONTENTS
        assert await blobs.head(DIGEST, 4) == CONTENTS[:4]
        assert await blobs.head(DIGEST, 10**9) == CONTENTS
        assert await blobs.sizes([DIGEST, "0" * 64]) == {DIGEST: len(CONTENTS)}

    async def test_an_empty_file_is_a_file(self, blobs: BlobStore) -> None:
        digest = hashlib.sha256(b"").hexdigest()
        assert await blobs.receive(digest, pieces(b"")) is True
        assert await blobs.sizes([digest]) == {digest: 0}

    async def test_the_same_contents_are_not_new(self, blobs: BlobStore) -> None:
        await blobs.receive(DIGEST, pieces(CONTENTS))
        assert await blobs.receive(DIGEST, pieces(CONTENTS)) is False

    async def test_other_contents_than_announced_are_refused_and_not_kept(self, blobs: BlobStore) -> None:
        with pytest.raises(WrongContents):
            await blobs.receive(DIGEST, pieces(CONTENTS[:-1]))
        assert await blobs.sizes([DIGEST]) == {}
        with pytest.raises(NoSuchBlob):
            await blobs.file(DIGEST)
        assert await blobs.receive(DIGEST, pieces(CONTENTS)) is True

    @pytest.mark.parametrize("digest", NOT_DIGESTS)
    async def test_what_is_no_digest_is_no_name(self, blobs: BlobStore, digest: str) -> None:
        with pytest.raises(BadDigest):
            await blobs.receive(digest, pieces(CONTENTS))
        with pytest.raises(BadDigest):
            await blobs.file(digest)
        with pytest.raises(BadDigest):
            await blobs.head(digest, 1)

    async def test_many_that_send_the_same_at_once_store_it_once(self, blobs: BlobStore) -> None:
        together = asyncio.Barrier(10)

        async def sent_in_step() -> AsyncIterator[bytes]:
            """Keep every sender in the middle of its upload until all are."""
            yield CONTENTS[:500]
            await together.wait()
            yield CONTENTS[500:]

        async with asyncio.timeout(60):
            is_new = await asyncio.gather(*(blobs.receive(DIGEST, sent_in_step()) for _ in range(10)))
        assert any(is_new)
        assert (await blobs.file(DIGEST)).read_bytes() == CONTENTS

    async def test_a_sender_that_breaks_off_leaves_nothing(self, blobs: BlobStore) -> None:
        async def broken_off() -> AsyncIterator[bytes]:
            yield CONTENTS[:500]
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await blobs.receive(DIGEST, broken_off())
        assert await blobs.sizes([DIGEST]) == {}
