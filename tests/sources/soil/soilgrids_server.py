"""SoilGrids as it is laid out over HTTP: lists of tiles (VRT) and tiles, in Homolosine, simulated numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from protocol_server import ProtocolServer, Received, Reply, file_reply
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

CRS = "+proj=igh +lat_0=0 +lon_0=0 +datum=WGS84 +units=m +no_defs"
#: Pixels of a tile; the true ones have 450.
SIDE = 160
LEFT, TOP = -19949750.0, 8361000.0
SRS = 'PROJCS["Homolosine",GEOGCS["WGS 84"],PROJECTION["Interrupted_Goode_Homolosine"],UNIT["Meter",1]]'
#: Stored number of each property where the ground is even; per 1000, carbon in dg/kg.
LEVELS = {"wv0033": 280, "wv1500": 130, "cfvo": 120, "clay": 210, "sand": 410, "silt": 380, "soc": 87}

#: (layer, columns, rows of the lattice) -> stored numbers
Ground = Callable[[str, np.ndarray, np.ndarray], np.ndarray]


def even(layer: str, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The same everywhere; 5 % and 95 % quantiles 80 below and above."""
    del rows
    level = LEVELS[layer.split("_", maxsplit=1)[0]] + {"Q0.05": -80, "Q0.95": 80}.get(layer.rsplit("_", 1)[1], 0)
    return np.full(columns.shape, level)


class SoilGridsServer(ProtocolServer):
    """Tiles under 3 x 3 places around a position, all properties or some.

    Parameters
    ----------
    x, y : float
        In the projection, m: the middle of the tiles.
    properties : collection of str
    """

    def __init__(self, x: float, y: float, ground: Ground = even, properties: tuple[str, ...] = tuple(LEVELS)) -> None:
        super().__init__()
        self.ground = ground
        self.properties = properties
        column, row = round((x - LEFT) / 250) - SIDE // 2, round((TOP - y) / 250) - SIDE // 2
        self.tiles = {
            f"tileSG-00{r}-00{c}/tileSG-00{r}-00{c}_1-1.tif": (
                column + (c - 1) * SIDE,
                row + (r - 1) * SIDE,
                SIDE,
                250.0,
            )
            for c in range(3)
            for r in range(3)
        }
        self.lists = {"": self.tiles}
        self.route("/data/", self._answer_data)

    @property
    def folder(self) -> str:
        return f"{self.url}/data"

    def _answer_data(self, request: Received) -> Reply:
        name, layer, *rest = request.path.removeprefix("/data/").split("/", 2)
        if name not in self.properties:
            return Reply("<html>Not Found</html>", 404, {"Content-Type": "text/html"})
        if not rest:
            return Reply(self.vrt(layer.removesuffix(".vrt")), headers={"Content-Type": "text/plain"})
        if rest[0] not in self._tiles(layer):
            return Reply("", 404)
        return file_reply(request, self.tile(layer, *self._tiles(layer)[rest[0]]))

    def _tiles(self, layer: str) -> dict[str, tuple[int, int, int, float]]:
        return self.lists.get(layer, self.lists[""])

    def vrt(self, layer: str) -> str:
        """List of the tiles of a layer."""
        sources = "".join(
            f'<ComplexSource><SourceFilename relativeToVRT="1">./{layer}/{name}</SourceFilename><SourceBand>1</SourceBand>'
            f'<SrcRect xOff="0" yOff="0" xSize="{n}" ySize="{n}"/>'
            f'<DstRect xOff="{c}" yOff="{r}" xSize="{n * side / 250:g}" ySize="{n * side / 250:g}"/></ComplexSource>'
            for name, (c, r, n, side) in self._tiles(layer).items()
        )
        return (
            f'<VRTDataset rasterXSize="159246" rasterYSize="58034"><SRS>{SRS.replace(chr(34), "&quot;")}</SRS>'
            f"<GeoTransform>{LEFT:.16e},  2.5e+02,  0.0, {TOP:.16e},  0.0, -2.5e+02</GeoTransform>"
            f'<VRTRasterBand dataType="Int16" band="1"><NoDataValue>-32768</NoDataValue>{sources}</VRTRasterBand></VRTDataset>'
        )

    def tile(self, layer: str, column: int, row: int, count: int, side: float) -> bytes:
        """A tile as a GeoTIFF."""
        left, top = LEFT + column * 250, TOP - row * 250
        columns, rows = np.meshgrid(np.arange(count), np.arange(count))
        numbers = self.ground(
            layer, np.floor((left + (columns + 0.5) * side) / 250), np.floor((top - (rows + 0.5) * side) / 250)
        ).astype("int16")
        with MemoryFile() as memory:
            with memory.open(
                driver="GTiff", width=count, height=count, count=1, dtype="int16", crs=CRS, nodata=-32768,
                transform=from_origin(left, top, side, side), compress="deflate",
            ) as out:  # fmt: skip
                out.write(numbers, 1)
            return bytes(memory.read())
