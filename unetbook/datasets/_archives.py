"""The files in a zip archive, read without unpacking it, or those below a folder: both look alike to a reader."""

import re
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from unetbook.images import AGAIN

MOST = 2**30  # bytes of one file unpacked: no picture is that large
OF_THE_SYSTEM = re.compile(r"(^|/)(\._|\.DS_Store|__MACOSX/)")  # macOS puts copies of names into archives


class Members:
    """Names and bytes of the files in ``path``, an archive or a folder.

    ``names`` are paths with forward slashes, sorted. Raises ``ValueError`` naming the archive that is damaged, and the
    member whose path would leave the folder, or that says that it unpacks to more than ``MOST`` bytes.
    """

    def __init__(self, path: Path):
        """List the files; none is read yet."""
        self.path = path
        self._zip = None if path.is_dir() else _opened(path)
        if self._zip is None:
            names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
        else:
            names = [_checked(member, path) for member in self._zip.infolist() if not member.is_dir()]
        self.names = sorted(name for name in names if not OF_THE_SYSTEM.search(name))

    def where(self, name) -> str:
        """Name a file for an error."""
        return f"{name} in {self.path}"

    def read(self, name) -> bytes:
        """Read a file; ``ValueError`` naming archive and member when it is damaged."""
        if self._zip is None:
            return (self.path / name).read_bytes()
        try:
            return self._zip.read(name)
        except Exception as error:  # BadZipFile, EOFError, zlib.error, RuntimeError (encrypted) ...
            raise ValueError(f"{self.where(name)} is damaged or cut short ({error}): {AGAIN}") from error

    def check(self) -> None:
        """Read each file of an archive once; ``ValueError`` naming the first that is damaged."""
        for name in self.names:
            self.read(name)

    def by_id(self, pattern) -> dict[str, str]:
        """The files whose name matches ``pattern``, by what its group ``id`` matched; two of one id are an error."""
        found = {}
        for id_, name in self.matches(pattern):
            if id_ in found:
                raise ValueError(f"{self.path} holds {found[id_]} and {name}, both for {id_}: keep one")
            found[id_] = name
        return found

    def matches(self, pattern) -> list[tuple[str, str]]:
        """Pairs of id and name of the files whose name matches ``pattern``."""
        found = ((re.search(pattern, name), name) for name in self.names)
        return [(match["id"], name) for match, name in found if match]


def paired(images, masks, where) -> list[str]:
    """The ids that both have, which must be all: ``ValueError`` naming those that have only an image or only a mask."""
    for one, other, what in ((images, masks, "a mask"), (masks, images, "an image")):
        lacking = [id_ for id_ in one if id_ not in other]
        if lacking:
            raise ValueError(f"{where} lacks {what} for {_listed(lacking)}: get it again")
    if not images:
        raise ValueError(f"{where} holds no pictures as this data set names them: get it again")
    return list(images)


def chosen(ids, wanted, where) -> list[str]:
    """``wanted`` (``None``: all) of the ids; ``ValueError`` naming those that are absent."""
    if wanted is None:
        return list(ids)
    absent = sorted(set(wanted) - set(ids))
    if absent:
        raise ValueError(f"{where} lacks {_listed(absent)}; it holds {len(ids)} pictures, as {_listed(list(ids), 1)}")
    return list(wanted)


def _listed(names, most=5):
    return ", ".join(map(str, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def _opened(path):
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is damaged, cut short or no zip archive ({error}): {AGAIN}") from error


def _checked(member, path):
    name = member.orig_filename
    leaves = PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or PureWindowsPath(name).drive
    if leaves or "\\" in name:
        raise ValueError(
            f"the member {name!r} of {path} has a path that may leave the folder: this is not the published archive; "
            f"{AGAIN}"
        )
    if member.file_size > MOST:
        raise ValueError(
            f"the member {name!r} of {path} unpacks to {member.file_size / 2**30:.0f} GB, as it says: no picture "
            f"is that large; {AGAIN}"
        )
    return member.filename
