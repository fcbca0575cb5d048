"""Whole or not there: files and folders get their name when they are complete, and one process makes each.

What is written is on the disk (fsync) before it has its name, so neither a kill nor a power cut leaves half of anything
under a name that something reads.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a system says where there is no room: on the disk, in a quota, in the longest file that it allows."""
LITTLE = 2**16
"""Bytes left on a disk that is full for whoever writes weights."""


def whole_file(path: Path, text: str) -> None:
    """Writes a text file, or leaves what stood there, whose mode it keeps. Makes its folder."""
    whole_lines(path, [text])


def whole_lines(path: Path, lines: Iterable[str]) -> None:
    """The same of a text that comes line by line."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    with named(path, part):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("w", encoding="utf-8", newline="") as stream:
                stream.writelines(lines)
                stream.flush()
                os.fsync(stream.fileno())
            with suppress(FileNotFoundError):
                shutil.copymode(path, part)
            part.replace(path)
            _sync(path.parent)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def named(path: Path, part: Path) -> Iterator[None]:
    """The system's errors of writing `part` name `path`: it often names nothing, and a part is gone when one looks."""
    try:
        yield
    except OSError as error:
        inside = error.filename is None or str(error.filename).startswith(str(part))
        if error.errno is None or not inside:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def no_room(error: BaseException, folder: Path) -> bool:
    """Was there no room to write? torch, safetensors and others tell of it in errors of their own, or do not tell."""
    told: BaseException | None = error
    while told is not None:
        if getattr(told, "errno", None) in FULL or any(os.strerror(number) in str(told) for number in FULL):
            return True
        told = told.__cause__ or told.__context__
    return shutil.disk_usage(folder).free < LITTLE


def whole_folder(path: Path, fill: Callable[[Path], None], waiting: Callable[[], None]) -> None:
    """Makes the folder `path`, unless it is there: `fill` writes into an empty folder, which then gets the name.

    One process at a time: another that wants the same folder waits (`waiting` is told once) and finds it done.
    """
    with locked(path, waiting):
        if path.is_dir():
            return
        part = path.with_name(f".{path.name}.part")
        shutil.rmtree(part, ignore_errors=True)  # of a process that was killed: the lock says that none is at work
        with named(path, part):
            part.mkdir(parents=True)
            try:
                fill(part)
                sync_folder(part)
                part.rename(path)
                _sync(path.parent)
            except Exception as error:
                told = getattr(error, "problems", None) or getattr(error, "errno", None)
                if told or not no_room(error, part):
                    raise
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
            finally:
                shutil.rmtree(part, ignore_errors=True)


def replace_folder(fresh: Path, place: Path) -> None:
    """Puts a finished folder in its place; what stood there goes away. For a holder of the place's lock."""
    if not place.exists():
        fresh.rename(place)
        return
    if not _exchanged(fresh, place):
        old = _old(place)
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
        fresh.rename(place)
        old.rename(fresh)
    shutil.rmtree(fresh, ignore_errors=True)


def put_back(place: Path) -> None:
    """What a process moved away that was killed before it had put another folder there. For a holder of the place's lock."""
    if not place.exists() and _old(place).exists():
        _old(place).rename(place)


def _old(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _exchanged(one: Path, other: Path) -> bool:
    """Gives two folders each other's name, at once, so that there is always one under it: where the system can."""
    import ctypes

    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock of a path. The system lets go of it when a process dies, however it dies."""
    from filelock import FileLock, Timeout

    folder = path.parent / ".locks"
    lock = FileLock(folder / f"{path.name}.lock")
    try:
        with named(path, folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sync_folder(folder: Path) -> None:
    """All files below a folder, and the folders themselves, to the disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            _sync(Path(place) / name)
        _sync(Path(place))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
