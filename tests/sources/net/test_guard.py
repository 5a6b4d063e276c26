"""What would show a field or a person is refused before it is sent; what is rounded passes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from protocol_server import ProtocolServer
from shapely.geometry import Polygon, mapping

from agro.schema.errors import PrivacyError
from agro.schema.grid import CELL_M
from agro.sources.net import Call, Network, OutboundGuard

URL = "https://provider.example/api"
GUARD = OutboundGuard(["parcel-0007", "Aït Benhaddou", "Coopérative Al Amal", "880123", "no"])


def refused(
    url: str = URL, headers: dict[str, str] | None = None, body: Any = b"", guard: OutboundGuard = GUARD
) -> bool:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        guard.check("POST", url, headers or {}, content)
    except PrivacyError:
        return True
    return False


def fine(degrees: float) -> bool:
    """Not on a hundredth of a degree, as no real place is."""
    return abs(degrees * 100 - round(degrees * 100)) > 1e-3


places = st.tuples(st.floats(-13, -1).filter(fine), st.floats(27.6, 35.9).filter(fine)).map(
    lambda place: (round(place[0], 6), round(place[1], 6))
)

#: Ways in which a place may be in a request.
POINTS: dict[str, Callable[[float, float], dict[str, Any]]] = {
    "query": lambda lon, lat: {"url": f"{URL}?latitude={lat}&longitude={lon}"},
    "query, several": lambda lon, lat: {"url": f"{URL}?latitude=31.1,{lat}&longitude=-7.0,{lon}"},
    "query, one word": lambda lon, lat: {"url": f"{URL}?where={lon}%2C{lat}"},
    "query, GeoJSON": lambda lon, lat: {
        "url": f"{URL}?" + urlencode({"geometry": json.dumps({"type": "Point", "coordinates": [lon, lat]})})
    },
    "path": lambda lon, lat: {"url": f"{URL}/point/{lat}/{lon}"},
    "header": lambda lon, lat: {"headers": {"X-Where": f"{lat}, {lon}"}},
    "header, geo": lambda lon, lat: {"headers": {"Geolocation": f"lat={lat}; lon={lon}"}},
    "WKT": lambda lon, lat: {"url": f"{URL}?q=" + quote(f"POINT({lon} {lat})")},
    "WKT in JSON": lambda lon, lat: {"body": {"filter": f"S_INTERSECTS(geom, SRID=4326;POINT Z ({lon} {lat} 5))"}},
    "form": lambda lon, lat: {"body": urlencode({"lat": lat, "lon": lon}).encode()},
    "form, one word": lambda lon, lat: {"body": urlencode({"p": f"{lat};{lon}"}).encode()},
    "JSON": lambda lon, lat: {"body": {"point": {"lat": lat, "lon": lon}}},
    "JSON, texts": lambda lon, lat: {"body": {"latitude": str(lat), "longitude": str(lon)}},
    "JSON, list": lambda lon, lat: {"body": {"sites": [[lon, lat]]}},
    "JSON in JSON": lambda lon, lat: {"body": {"request": json.dumps({"sites": [[lon, lat]]})}},
    "box": lambda lon, lat: {"body": {"bbox": [lon, lat, lon + 0.1, lat + 0.1]}},
    "box, text": lambda lon, lat: {"body": {"bbox": f"{lon},{lat},{lon + 0.1},{lat + 0.1}"}},
    "box, query": lambda lon, lat: {"url": f"{URL}?bbox={lon},{lat},{lon + 0.1},{lat + 0.1}"},
    "plain text": lambda lon, lat: {"body": f"please look at {lat} {lon}".encode()},
}


@pytest.mark.parametrize("way", POINTS)
@given(place=places)
def test_a_place_that_is_not_rounded_is_refused(way: str, place: tuple[float, float]) -> None:
    assert refused(**POINTS[way](*place))


@given(places, st.floats(0.0005, 0.01), st.integers(3, 8), st.sampled_from(["intersects", "geometry", "aoi"]))
def test_an_outline_is_refused_in_every_form(
    centre: tuple[float, float], radius: float, corners: int, key: str
) -> None:
    angles = [2 * math.pi * corner / corners for corner in range(corners)]
    outline = Polygon([(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles])
    geojson = mapping(outline)
    assert refused(body={key: geojson})
    assert refused(body={key: {"type": "Feature", "geometry": geojson, "properties": {}}})
    assert refused(body={key: {"type": "GeometryCollection", "geometries": [geojson]}})
    assert refused(body={key: {"type": "MultiPolygon", "coordinates": [geojson["coordinates"]]}})
    assert refused(body={key: {"rings": geojson["coordinates"]}})  # Esri
    assert refused(body={key: outline.wkt})
    assert refused(f"{URL}?{urlencode({key: outline.wkt})}")
    assert refused(f"{URL}?{urlencode({key: json.dumps(geojson)})}")
    assert refused(headers={"X-Aoi": outline.wkt})
    assert refused(body=urlencode({key: outline.wkt}).encode())
    assert refused(body=urlencode({key: json.dumps(geojson)}).encode())
    assert refused(body={key: mapping(outline.envelope)})
    assert not refused(body={key: geojson}, guard=OutboundGuard(["parcel-0007"], outlines_allowed=True))


@given(st.integers(-130, -10), st.integers(276, 359), st.integers(1, 30), st.integers(1, 30))
def test_rounded_boxes_and_points_pass(west: int, south: int, wide: int, high: int) -> None:
    # As computed, not as typed: -7.6000000000000005 is rounded too.
    box = [west * 0.1, south * 0.1, (west + wide) * 0.1, (south + high) * 0.1]
    ring = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]], [box[0], box[1]]]
    written = [round(number, 1) for number in box]
    assert not refused(f"{URL}?latitude={written[1]}&longitude={written[0]}&daily=rain&start=2026-03-01")
    assert not refused(f"{URL}?bbox={','.join(map(str, written))}")
    assert not refused(body={"bbox": box, "datetime": "2026-03-01T00:00:00Z/2026-03-08T23:59:59.999Z", "limit": 100})
    assert not refused(body={"intersects": {"type": "Polygon", "coordinates": [ring]}})
    assert not refused(body={"intersects": {"type": "Point", "coordinates": box[:2]}})
    assert not refused(body={"area": [box[3], box[0], box[1], box[2]], "variable": ["2m_temperature"]})


@given(st.integers(20, 170), st.integers(580, 780))
def test_cells_pass_and_finer_boxes_do_not(column: int, row: int) -> None:
    box = [column * CELL_M, row * CELL_M, (column + 1) * CELL_M, (row + 1) * CELL_M]
    properties = {"crs": "http://www.opengis.net/def/crs/EPSG/0/32629"}
    request = {
        "input": {
            "bounds": {"bbox": box, "properties": properties},
            "data": [{"dataFilter": {"maxCloudCoverage": 60.5}}],
        },
        "output": {"width": 512, "height": 512},
    }
    assert not refused(body=request)
    request["input"]["bounds"]["bbox"] = [box[0] + 10, *box[1:]]
    assert refused(body=request)
    assert refused(body={"corners": [[box[0] + 10.5, box[1] + 3.25]]})


@given(st.sampled_from(["inf", "nan", "NaN", "-Infinity", "1e999", "1" + "0" * 400]))
def test_a_position_that_is_no_number_is_refused(text: str) -> None:
    assert refused(f"{URL}?lat={text}")
    assume(text not in ("inf", "nan"))  # not JSON
    assert refused(body=f'{{"bbox": [{text}, 1, 2, 3]}}'.encode())


WORDS = ["parcel-0007", "PARCEL-0007", "Aït Benhaddou", "AÏT BENHADDOU", "Ait\u0308 Benhaddou".replace("Ait\u0308", "Ai\u0308t"),
         "Coopérative Al Amal", "880123"]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("around", ["{}", "x/{}.tif", "the {} of", "id_{}_1", '"{}"', "a={};b=1"])
def test_a_private_word_is_refused_wherever_it_is(word: str, around: str) -> None:
    text = around.format(word)
    percent = "".join(f"%{byte:02x}" for byte in text.encode())
    assert refused(f"{URL}/{quote(text)}")
    assert refused(f"{URL}/{percent}")
    assert refused(f"{URL}?{urlencode({'q': text})}")
    assert refused(f"{URL}?{urlencode({text: 1})}")
    assert refused(f"{URL}?q={quote(percent)}")  # encoded twice
    assert refused(headers={"X-Note": text})
    assert refused(headers={"X-Note": percent})
    assert refused(body={"a": [{"b": text}]})
    assert refused(body={text: 1})
    assert refused(body={"a": percent})
    assert refused(body=urlencode({"note": text}).encode())
    assert refused(body=text.encode())
    assert refused(body=json.dumps({"a": text}, ensure_ascii=False).encode())
    # Also where outlines may be sent.
    assert refused(body={"a": text}, guard=OutboundGuard([word], outlines_allowed=True))


def test_a_number_that_is_an_id_is_refused() -> None:
    assert refused(body={"id": 880123})
    assert refused(body={"ids": [1, 880123]})
    assert not refused(body={"bbox": [880640, 3481600, 885760, 3486720]}, guard=OutboundGuard(["880640"]))
    assert not refused(f"{URL}?bbox=880640,3481600,885760,3486720", guard=OutboundGuard(["880640"]))


@pytest.mark.parametrize("harmless", ["parcel-00071", "xparcel-0007", "Benhaddou", "8801234", "no", "al amal"])
def test_other_words_pass(harmless: str) -> None:
    assert not refused(f"{URL}?{urlencode({'q': harmless})}", body={"a": harmless, "b": {harmless: True}})


def test_the_message_does_not_repeat_what_it_hides() -> None:
    with pytest.raises(PrivacyError) as caught:
        GUARD.check("GET", f"{URL}/parcel-0007", {}, b"")
    assert "parcel-0007" not in str(caught.value)
    with pytest.raises(PrivacyError) as caught:
        GUARD.check("GET", f"{URL}?latitude=31.12345", {}, b"")
    assert "31.12345" not in str(caught.value)


def test_constants_pass() -> None:
    script = "//VERSION=3 return [0.2126, 0.7152 * parcel-0007] // POINT (7.1234 31.1234)"
    body = json.dumps({"evalscript": script}).encode()
    assert refused(body=body)
    GUARD.check("POST", URL, {}, body, constants=[script])
    with pytest.raises(PrivacyError):
        GUARD.check("POST", URL, {}, json.dumps({"evalscript": script + " parcel-0007"}).encode(), constants=[script])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda c: st.lists(c) |
       st.dictionaries(st.text() | st.sampled_from(["bbox", "type", "coordinates", "lat"]), c), max_leaves=12))  # fmt: skip
def test_whatever_comes_is_judged(document: Any) -> None:
    """No request makes the guard itself fail."""
    assert isinstance(refused(body=json.dumps(document).encode()), bool)
    assert isinstance(refused(body={"type": "Polygon", "coordinates": document}), bool)


@given(st.binary(max_size=60), st.text(st.characters(codec="ascii"), max_size=30))
def test_whatever_bytes_come_are_judged(body: bytes, query: str) -> None:
    assume("[" not in query and "]" not in query)
    assert isinstance(refused(f"{URL}?{quote(query)}", body=body), bool)


def test_what_is_refused_is_not_sent(server: ProtocolServer) -> None:
    network = Network(guard=GUARD)
    client = network.client("p")
    calls = [
        Call(f"{server.url}/x", params={"latitude": 31.123456, "longitude": -7.654321}),
        Call(f"{server.url}/x", method="POST", body={"name": "Aït Benhaddou"}),
        Call(f"{server.url}/parcel-0007.tif", expects="bytes"),
        Call(f"{server.url}/x", headers={"X-Note": "parcel-0007"}),
        # Also beside a signature, which itself is not looked at.
        Call(f"{server.url}/x", params={"q": "parcel-0007"}, signer=lambda url, _: (f"{url}?sig=1", {})),
        Call(f"{server.url}/x?q=parcel-0007", signer=lambda url, _: (f"{url}&sig=1", {})),
    ]
    for call in calls:
        with pytest.raises(PrivacyError, match="Nothing was sent"):
            client.fetch(call)
    assert not server.asked()
    assert network.budget.spent.requests == 0
    network.close()
