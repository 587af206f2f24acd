"""Artifacts in a bucket: S3, or what speaks its protocol. An object is visible when all of it has arrived, and durable from then on.

Credentials, region and endpoint are read from the standard variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...), web identity, or the
metadata of the machine, by obstore itself: they never pass through our settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chronos_assets.errors import UsageError
from chronos_assets.storage.artifacts.range_cache import WHOLE, Part, RangeCache
from chronos_assets.storage.artifacts.s3_errors import as_ours, cut_short, is_missing_bucket
from chronos_assets.storage.artifacts.store import Entry, checked_name

if TYPE_CHECKING:
    from obstore import Bytes, ObjectMeta

T = TypeVar("T")
PUTS_AT_ONCE = 8
# A larger object goes up in parts of this size, each of which is repeated by itself. It becomes visible as a whole.
PART_BYTES = 5 * 1024 * 1024
PARTS_AT_ONCE = 2
CONNECT_SECONDS, REQUEST_SECONDS, RETRY_SECONDS = 5, 30, 40
RETRIES = 3


class S3Artifacts:
    """The objects of `bucket` below `prefix` (empty for all).

    `journals`: a folder of this machine. What was read is kept in `cache`, and is asked for again only if the bucket has another version.
    Raises `UsageError` if obstore is not installed.
    """

    def __init__(self, bucket: str, prefix: str, *, journals: Path, cache: RangeCache) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise UsageError(
                "artifacts are to be kept in S3, and what speaks to it is not installed",
                code="s3_extra_missing",
                hint='Install it: pip install "chronos-assets[s3]", or python3 bootstrap.py sync --no-dev --extra s3.',
            ) from None
        self.journals = journals
        self._address = f"s3://{bucket}/{prefix}".rstrip("/")
        self._cache = cache
        self._obstore = obstore
        self._store = self._ask(
            self._address,
            lambda: S3Store(
                bucket,
                prefix=prefix or None,
                client_options={
                    "allow_http": True,  # the scheme of the endpoint decides
                    "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                    "timeout": timedelta(seconds=REQUEST_SECONDS),
                },
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
            ),
        )
        self._bucket_is_there = False

    def address(self, name: str) -> str:
        """The URL of the object."""
        return f"{self._address}/{checked_name(name)}"

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Put objects; the bucket has all of each on return."""
        if len(contents) == 1:
            self._put(*next(iter(contents.items())))
        elif contents:
            with ThreadPoolExecutor(min(PUTS_AT_ONCE, len(contents)), thread_name_prefix="put") as pool:
                list(pool.map(self._put, contents.keys(), contents.values()))

    def read(self, name: str) -> bytes | None:
        """The content of an object; None if it is gone. What the cache has is not sent again."""
        known = self._cache.version(name)

        def get() -> bytes | None:
            try:
                options: Any = {} if known is None else {"if_none_match": known}
                answer = self._obstore.get(self._store, checked_name(name), options=options)
                content, size, version = bytes(answer.bytes()), answer.meta["size"], answer.meta["e_tag"]
            except self._obstore.exceptions.NotModifiedError:
                return None
            if len(content) != size:
                raise cut_short(self.address(name), size, len(content))
            self._cache.keep(name, version, {WHOLE: content})
            return content

        found, content = self._found(name, get)
        if not found or content is not None:
            return content
        kept = self._cache.find(name, known, [WHOLE]).get(WHOLE)
        if kept is not None:
            return kept
        self._cache.forget(name)  # another process has thrown it out meanwhile
        return self.read(name)

    def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Parts of an object; None if it is gone. Close parts come in one answer; what the cache has is not sent again."""
        meta = self._meta(name)
        if meta is None:
            return None
        due = [(start, max(0, min(size, meta["size"] - start))) for start, size in ranges]
        kept: dict[Part, bytes] = {(start, 0): b"" for start, _ in due}
        kept |= self._cache.find(name, meta["e_tag"], [part for part in due if part not in kept])
        wanted = list(dict.fromkeys(part for part in due if part not in kept))
        if wanted:
            starts, lengths = [start for start, _ in wanted], [size for _, size in wanted]
            found, parts = self._found(
                name, lambda: self._obstore.get_ranges(self._store, checked_name(name), starts=starts, lengths=lengths)
            )
            if not found or parts is None:
                return None
            read = {part: self._whole(name, part, content) for part, content in zip(wanted, parts, strict=True)}
            self._cache.keep(name, meta["e_tag"], read)
            kept |= read
        return [kept[part] for part in due]

    def size(self, name: str) -> int | None:
        """Bytes of an object; None if it is gone."""
        meta = self._meta(name)
        return None if meta is None else int(meta["size"])

    def delete(self, name: str) -> int:
        """Delete an object; returns its bytes."""
        size = self.size(name)
        if size is not None:
            self._found(name, lambda: self._obstore.delete(self._store, checked_name(name)))
        self._cache.forget(name)
        return size or 0

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """All objects below a prefix, in the order of their names."""
        pages = iter(self._ask(self._address, lambda: self._obstore.list(self._store, prefix or None)))
        while page := self._ask(self._address, lambda: next(pages, None)):
            for meta in page:
                yield Entry(meta["path"], meta["size"], meta["last_modified"])

    def remove_abandoned(self, prefix: str) -> int:
        """Nothing: an upload that was cut off is no object. The bucket's lifecycle rule removes its parts (docs/DEPLOY.md)."""
        return 0

    def _put(self, name: str, content: bytes) -> None:
        self._ask(
            self.address(name),
            lambda: self._obstore.put(
                self._store,
                checked_name(name),
                content,
                use_multipart=len(content) > PART_BYTES,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            ),
        )

    def _meta(self, name: str) -> ObjectMeta | None:
        return self._found(name, lambda: self._obstore.head(self._store, checked_name(name)))[1]

    def _found(self, name: str, ask: Callable[[], T]) -> tuple[bool, T | None]:
        """Whether the object is there, and the answer. A bucket that is not there is an error, and no object that is gone."""

        def unless_gone() -> tuple[bool, T | None]:
            try:
                return True, ask()
            except FileNotFoundError as error:
                if is_missing_bucket(error):
                    raise
                return False, None

        found, answer = self._ask(self.address(name), unless_gone)
        if not found and not self._bucket_is_there:  # the answer about an object alone does not always tell
            next(self.list("doctor"), None)
            self._bucket_is_there = True
        return found, answer

    def _whole(self, name: str, part: Part, content: Bytes) -> bytes:
        if len(content) != part[1]:
            raise cut_short(self.address(name), part[1], len(content))
        return bytes(content)

    def _ask(self, place: str, work: Callable[[], T]) -> T:
        """What `work` gives; an error of obstore becomes one of ours.

        Its text repeats the server's whole answer, which can hold a session's token: no cause is kept that a log could print.
        """
        try:
            return work()
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            found = as_ours(error, place)
        raise found
