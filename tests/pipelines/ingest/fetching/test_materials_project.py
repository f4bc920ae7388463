"""The real client against a local server that speaks the two addresses it needs; api.materialsproject.org is not asked."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pymatgen.core import Lattice, Structure

from matstrata.pipelines.ingest.fetching.materials_project import FIELDS, MaterialsProjectQuery, as_line, fetch
from matstrata.schemas.errors import InputError, WorkError

KEY = "k" * 32  # the client knows keys by their length
CUBIC = {"crystal_system": "Cubic", "symbol": "Fm-3m", "number": 225, "point_group": "m-3m", "version": "2.5.0"}
HEARTBEAT = {"version": "0.87.3", "db_version": "2026.10.1", "access_controlled_batch_ids": []}


@cache
def summary(number: int) -> dict:
    """A summary as the interface gives it, of rock salt with another lattice constant for each number."""
    rocksalt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5 + number / 100), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    return {
        "material_id": f"mp-{number}",
        "formula_pretty": "NaCl",
        "structure": rocksalt.as_dict(),
        "band_gap": 5.0 + number,
        "is_metal": False,
        "energy_above_hull": None,
        "symmetry": CUBIC,
        "bulk_modulus": {"voigt": 24.1, "reuss": 24.0, "vrh": 24.05},
    }


@dataclass
class Service:
    address: str
    summaries: list[dict] = field(default_factory=lambda: [summary(n) for n in range(1, 6)])
    status: int = 200
    heartbeat: bytes = json.dumps(HEARTBEAT).encode()
    asked: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path)
            if path.path == "/heartbeat":
                return self._answer(200, service.heartbeat)
            assert path.path == "/materials/summary/"
            assert self.headers["x-api-key"] == KEY
            asked = {name: values[0] for name, values in parse_qs(path.query).items()}
            service.asked.append(asked)
            skip, limit = int(asked.get("_skip", 0)), int(asked["_limit"])
            page = {"data": service.summaries[skip : skip + limit], "meta": {"total_doc": len(service.summaries)}}
            refusal = {"detail": "the server says no"}
            return self._answer(service.status, json.dumps(page if service.status == 200 else refusal).encode())

        def _answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("MP_API_KEY", KEY)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service = Service(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield service
        server.shutdown()
        thread.join()


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_summaries_become_flat_lines(service, tmp_path):
    query = MaterialsProjectQuery({"chemsys": "Na-Cl", "band_gap": (1, 20)}, endpoint=service.address)
    path = fetch(query, tmp_path / "new")
    assert [p.name for p in path.parent.iterdir()] == [f"{query.sha256}.jsonl"]
    found = lines(path)
    assert [line["material_id"] for line in found] == ["mp-1", "mp-2", "mp-3", "mp-4", "mp-5"]
    assert found[0]["symmetry.number"] == 225
    assert found[0]["bulk_modulus.vrh"] == 24.05
    assert found[0]["energy_above_hull"] is None
    assert Structure.from_dict(json.loads(found[2]["structure"])).lattice.a == 5.03
    (asked,) = service.asked
    assert asked["_fields"] == ",".join(FIELDS)
    expected = {"chemsys": "Na-Cl", "band_gap_min": "1", "band_gap_max": "20", "deprecated": "False"}
    assert expected.items() <= asked.items()
    assert asked["_sort_fields"] == "material_id"


def test_pages_are_put_together_up_to_the_number_wanted(service, tmp_path, monkeypatch):
    monkeypatch.setattr("matstrata.pipelines.ingest.fetching.materials_project._PAGE", 2)
    path = fetch(MaterialsProjectQuery(max_results=3, endpoint=service.address), tmp_path)
    assert [line["material_id"] for line in lines(path)] == ["mp-1", "mp-2", "mp-3"]
    assert [asked.get("_skip", "0") for asked in service.asked] == ["0", "2"]


def test_the_fields_are_those_of_the_clients_documents():
    from emmet.core.summary import SummaryDoc

    assert set(FIELDS) <= set(SummaryDoc.model_fields)


def test_lists_and_an_absent_structure():
    assert json.loads(as_line({"elements": ["Na", "Cl"], "structure": None})) == {
        "elements": '["Na", "Cl"]',
        "structure": None,
    }


def test_without_a_key_it_says_where_to_get_one(tmp_path, monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    with pytest.raises(InputError, match=r"MP_API_KEY is not set; get one at https://materialsproject\.org/api"):
        fetch(MaterialsProjectQuery(), tmp_path)


def test_without_the_client_it_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(InputError, match="extra 'materials-project'"):
        fetch(MaterialsProjectQuery(), tmp_path)


def test_a_key_of_the_wrong_length_is_refused(service, tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", "short")
    with pytest.raises(InputError, match="Valid API keys are 32 characters"):
        fetch(MaterialsProjectQuery(endpoint=service.address), tmp_path)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, InputError, "status code 401.*the server says no"),
        (400, InputError, "refused the query"),
        (500, WorkError, "status code 500.*run the same command again"),
    ],
)
def test_errors_of_the_service(service, tmp_path, status, error, words):
    service.status = status
    with pytest.raises(error, match=f"(?s){words}"):
        fetch(MaterialsProjectQuery({"formula": "NaCl"}, endpoint=service.address), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("criteria", [{"colour": "red"}, {"has_props": ["magic"]}])
def test_unknown_criteria_are_refused_before_anything_is_asked(service, tmp_path, criteria):
    with pytest.raises(InputError, match="check the criteria"):
        fetch(MaterialsProjectQuery(criteria, endpoint=service.address), tmp_path)
    assert not service.asked


def test_unknown_fields_are_refused(service, tmp_path):
    with pytest.raises(InputError, match="invalid fields requested"):
        fetch(MaterialsProjectQuery(fields=("colour",), endpoint=service.address), tmp_path)


def test_nobody_there(tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", KEY)
    with pytest.raises(WorkError, match="can't be reached"):
        fetch(MaterialsProjectQuery(endpoint="http://127.0.0.1:9/"), tmp_path)


def test_a_heartbeat_that_is_no_json(service, tmp_path):
    service.heartbeat = b"<html>maintenance</html>"
    with pytest.raises(WorkError, match="faulty"):
        fetch(MaterialsProjectQuery(endpoint=service.address), tmp_path)


def test_nothing_found(service, tmp_path):
    service.summaries = []
    with pytest.raises(InputError, match=r"nothing that matches \{'formula': 'NaCl'\}"):
        fetch(MaterialsProjectQuery({"formula": "NaCl"}, endpoint=service.address), tmp_path)


def test_a_folder_that_can_not_be_made_is_named(service, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match="can't be written"):
        fetch(MaterialsProjectQuery(endpoint=service.address), tmp_path / "file")


def test_a_count_below_one_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        MaterialsProjectQuery(max_results=0)
