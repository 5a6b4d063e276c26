"""A Sentinel-2 product on disk, as a folder or in a zip: its files, and its XML read with caution."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from agro.schema.errors import SourceError
from agro.sources.imagery.names import product_in

#: Metadata of a product at the two levels that are delivered.
METADATA = {"MTD_MSIL2A.xml": "L2A", "MTD_MSIL1C.xml": "L1C"}
#: Largest metadata file read, in bytes; those of a tile are about 0.6 MB.
MAX_XML_BYTES = 16_000_000
_AGAIN = "Fetch the product again"


@dataclass(frozen=True)
class SafeProduct:
    """One product.

    Parameters
    ----------
    container : Path
        Its ``.SAFE`` folder, or the zip that holds it.
    root : str
        Folder of the product inside the zip, "" when its files lie at the top; always "" for a folder.
    names : frozenset of str
        Its files, relative to its root, with forward slashes.
    """

    container: Path
    root: str
    names: frozenset[str]

    @property
    def zipped(self) -> bool:
        """Whether it lies in a zip."""
        return self.container.is_file()

    @property
    def name(self) -> str:
        """What the product is called on disk, without suffix."""
        said = PurePosixPath(self.root).name if self.root else self.container.name
        return said.removesuffix(".zip").removesuffix(".SAFE")

    @property
    def level(self) -> str | None:
        """``L2A``, ``L1C``, or None when there is no product metadata."""
        return next((level for file, level in METADATA.items() if file in self.names), None)

    def gdal_path(self, name: str) -> str:
        """Path by which GDAL opens a file of the product."""
        if self.zipped:
            # Braces end the archive's name whatever it looks like (GDAL, virtual file systems).
            return f"/vsizip/{{{self.container}}}/{self._inside(name)}"
        return str(self.container / name)

    def files_of(self, names: list[str]) -> tuple[str, ...]:
        """Files on this machine behind files of the product."""
        return (str(self.container),) if self.zipped else tuple(str(self.container / name) for name in names)

    def xml(self, name: str) -> ElementTree.Element:
        """Root element of an XML file.

        Raises
        ------
        SourceError
            Absent, too large, damaged, not XML, or with a document type (entities can expand without bound).
        """
        if name not in self.names:
            raise SourceError(f"{name} is missing", do=_AGAIN)
        try:
            return _parsed(self._bytes(name))
        except ElementTree.ParseError as error:
            raise SourceError(f"{name} is not XML that can be read ({error})", do=_AGAIN) from error
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise SourceError(f"{name} cannot be read ({error})", do=_AGAIN) from error

    def _inside(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name

    def _bytes(self, name: str) -> bytes:
        if self.zipped:
            with zipfile.ZipFile(self.container) as archive, archive.open(self._inside(name)) as file:
                content = file.read(MAX_XML_BYTES + 1)
        else:
            with (self.container / name).open("rb") as file:
                content = file.read(MAX_XML_BYTES + 1)
        if len(content) > MAX_XML_BYTES:
            raise SourceError(f"{name} is larger than {MAX_XML_BYTES // 1_000_000} MB", do=_AGAIN)
        return content


class _Builder(ElementTree.TreeBuilder):
    """Called by the parser; Sentinel-2 metadata has no document type."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> Any:
        raise ElementTree.ParseError("it declares a document type")


def _parsed(content: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(content, parser=ElementTree.XMLParser(target=_Builder()))


def product_paths(path: Path) -> list[Path]:
    """Folders and zips that may be products, folders first, each in order of name.

    A folder is one when it is called ``*.SAFE`` or holds the metadata of a product.
    """
    if path.is_file() or _is_product(path):
        return [path]
    folders: list[Path] = []
    zips: list[Path] = []
    for here, below, files in os.walk(path):
        place = Path(here)
        inside = [place / name for name in sorted(below)]
        products = [folder for folder in inside if _is_product(folder)]
        folders += products
        below[:] = [folder.name for folder in inside if folder not in products]
        zips += [place / name for name in files if name.lower().endswith(".zip")]
    return [*sorted(folders), *sorted(zips)]


def _is_product(folder: Path) -> bool:
    return folder.suffix.upper() == ".SAFE" or any((folder / name).exists() for name in METADATA)


def open_products(path: Path) -> list[SafeProduct]:
    """Products in a folder or zip found by :func:`product_paths`.

    Raises
    ------
    SourceError
        Cut short, no zip, no product inside, or members with names that lead elsewhere, that occur twice, that are
        links or that are encrypted.
    """
    if path.is_dir():
        names = frozenset(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        if not names & set(METADATA):
            raise SourceError(f"{' or '.join(METADATA)} is missing", do=_AGAIN)
        return [SafeProduct(path, "", names)]
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"not a whole zip ({error})", do=_AGAIN) from error
    files = [_checked(member) for member in members if not member.is_dir()]
    if len(set(files)) < len(files):
        raise SourceError("two members of the zip have the same name", do=_AGAIN)
    roots = sorted({str(PurePosixPath(name).parent) for name in files if PurePosixPath(name).name in METADATA})
    if not roots:
        raise SourceError("no Sentinel-2 product in the zip", do="Remove the zip, or fetch the product again")
    return [
        SafeProduct(path, "", frozenset(files))
        if root == "."
        else SafeProduct(path, root, frozenset(n.removeprefix(f"{root}/") for n in files if n.startswith(f"{root}/")))
        for root in roots
    ]


def holds_products(path: Path) -> bool:
    """Whether a folder or file is, or holds, Sentinel-2 products: a SAFE folder, or a zip with one inside."""
    for found in product_paths(path):
        if found.is_dir():
            return True
        try:
            if open_products(found):
                return True
        except SourceError:
            # Another kind of zip; a broken one of a product is told by its name.
            if product_in(found.name):
                return True
    return False


def _checked(member: zipfile.ZipInfo) -> str:
    """Name of a member of a zip that can be trusted."""
    name = member.filename
    if not is_inside(name):
        raise SourceError(f"a member of the zip leads outside it ({name!r})", do="Do not use this zip")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SourceError(f"a member of the zip is a link ({name!r})", do="Do not use this zip")
    if member.flag_bits & 0x1:
        raise SourceError("the zip is encrypted", do="Unpack it with its password")
    return name


def is_inside(name: str) -> bool:
    """Whether a relative name with forward slashes stays below where it starts."""
    parts = name.split("/")
    return bool(name) and not any(part in {"", ".", ".."} for part in parts) and not set("\\:") & set(name)
