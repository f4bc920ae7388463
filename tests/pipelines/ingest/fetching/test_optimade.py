"""Against the consortium's own reference server, with its own data, behind a proxy that misbehaves on demand."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from filelock import FileLock

from matstrata.pipelines.ingest.fetching.files import locate, sha256_of
from matstrata.pipelines.ingest.fetching.optimade import TRIES, fetch
from matstrata.pipelines.ingest.fetching.optimade_pages import OptimadeQuery
from matstrata.pipelines.ingest.readers.optimade import read
from matstrata.pipelines.ingest.records import SourceFile
from matstrata.pipelines.ingest.refresh import refresh_source
from matstrata.schemas.contracts import load_contract
from matstrata.schemas.errors import InputError, WorkError
from matstrata.store.lake.lake import Lake

CONFIG = {
    "database_backend": "mongomock",
    "insert_test_data": True,
    "page_limit_max": 100,
    "aliases": {
        "structures": {
            "id": "task_id",
            "immutable_id": "_id",
            "chemical_formula_descriptive": "pretty_formula",
            "chemical_formula_reduced": "pretty_formula",
            "chemical_formula_anonymous": "formula_anonymous",
        }
    },
    "provider_fields": {"structures": ["chemsys"]},
}
FIELDS = ("chemical_formula_reduced", "nelements", "_exmpl_chemsys", "species", "cartesian_site_positions")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running reference server with its 17 structures."""
    folder = tmp_path_factory.mktemp("optimade")
    (folder / "config.json").write_text(json.dumps(CONFIG | {"log_dir": str(folder)}), encoding="utf-8")
    environment = os.environ | {
        "HOME": str(folder),
        "OPTIMADE_CONFIG_FILE": str(folder / "config.json"),
        "HTTPS_PROXY": "http://127.0.0.1:9",  # it would ask the network for the list of all providers
    }
    command = [sys.executable, "-m", "uvicorn", "optimade.server.main:app", "--host", "127.0.0.1", "--port", "0"]
    said = folder / "said.txt"
    with said.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while (found := re.search(r"running on (http://[\d.:]+)", said.read_text(encoding="utf-8"))) is None:
            assert server.poll() is None, said.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, said.read_text(encoding="utf-8")
            time.sleep(0.05)
        yield found[1]
    finally:
        server.terminate()
        server.wait(timeout=20)


@dataclass
class Answer:
    """What the proxy gives instead of, or made from, the provider's answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent: float = 1.0  # the part of the body that is sent before the connection is cut
    sized: bool = True  # whether the length of the body is announced


@dataclass
class Proxy:
    """In front of the provider. `fault` sees the number of each request (from 1), its path, and how to pass it on."""

    address: str
    requests: list[str]
    fault: Callable[[int, str, Callable[[str], Answer]], Answer | None]

    @property
    def offsets(self) -> list[str]:
        return [parse_qs(urlsplit(path).query).get("page_offset", ["0"])[0] for path in self.requests]


@pytest.fixture
def proxy(provider: str) -> Iterator[Proxy]:
    session = requests.Session()

    def pass_on(path: str) -> Answer:
        response = session.get(f"{provider}{path}", headers={"Host": urlsplit(proxy.address).netloc}, timeout=30)
        return Answer(response.status_code, {"Content-Type": response.headers["Content-Type"]}, response.content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            proxy.requests.append(self.path)
            answer = proxy.fault(len(proxy.requests), self.path, pass_on) or pass_on(self.path)
            self.send_response(answer.status)
            length = {"Content-Length": str(len(answer.body))} if answer.sized else {}
            for name, value in (answer.headers | length).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body[: int(len(answer.body) * answer.sent)])

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, session:
        proxy = Proxy(f"http://127.0.0.1:{server.server_port}", [], lambda *_: None)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield proxy
        server.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    """Collects what would have been waited."""
    return []


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]


def unpaged(provider: str, filter: str = "") -> list[str]:
    response = requests.get(
        f"{provider}/v1/structures",
        params={"filter": filter or "nsites>0", "page_limit": 100, "sort": "id"},
        timeout=30,
    )
    return [resource["id"] for resource in response.json()["data"]]


def down(_number: int, _path: str, _pass_on: object) -> Answer:
    return Answer(503, body=b"<html>down</html>")


def down_after(count: int) -> Callable[..., Answer | None]:
    return lambda number, *_: Answer(503) if number > count else None


@pytest.mark.parametrize(
    ("filter", "page_limit", "version"),
    [("", 5, ""), ("", 2, "/v1/"), ('elements HAS "Ag"', 3, "/v1"), ("nelements>=7 OR nelements=1", 4, "/")],
)
def test_all_pages_together_are_what_one_large_page_gives(provider, tmp_path, filter, page_limit, version):
    query = OptimadeQuery(f"{provider}{version}", filter, FIELDS, page_limit)
    path = fetch(query, tmp_path / "new" / "folder")
    expected = unpaged(provider, filter)
    assert len(expected) > page_limit, "else nothing is paged"
    assert ids(path) == expected
    assert path.name == f"{query.sha256}.jsonl"
    assert {p.name for p in path.parent.iterdir()} - {f"{query.sha256}.lock"} == {path.name}


def test_attributes_are_those_asked_for_and_the_reader_reads_them(provider, tmp_path):
    path = fetch(OptimadeQuery(provider, "nelements=2", FIELDS, page_limit=1), tmp_path)
    raw = read([SourceFile(path.name, path, sha256_of(path))], {})
    assert not raw.rejections
    assert raw.table["id"].to_pylist() == unpaged(provider, "nelements=2")
    assert raw.table["formula"].to_pylist() == ["Ac2Mg", "Ac2O3"]
    assert raw.table["_exmpl_chemsys"].to_pylist() == ["Ac-Mg", "Ac-O"]
    assert all(json.loads(text)["species"] for text in raw.table["structure"].to_pylist())


def test_progress_and_its_total_are_logged(provider, tmp_path, caplog):
    caplog.set_level(logging.INFO, "matstrata.ingest")
    query = OptimadeQuery(f"{provider}/v1", page_limit=10)
    fetch(query, tmp_path)
    host = urlsplit(provider).netloc
    assert caplog.messages == [
        f"{host}: 10 of 17 structures",
        f"{host}: 17 of 17 structures",
        f"{host}: complete, 17 structures",
    ]


def test_max_results_stops_in_the_middle_of_a_page(proxy, provider, tmp_path, caplog):
    caplog.set_level(logging.INFO, "matstrata.ingest")
    path = fetch(OptimadeQuery(proxy.address, page_limit=3, max_results=7), tmp_path)
    assert ids(path) == unpaged(provider)[:7]
    assert proxy.offsets == ["0", "3", "6"]
    assert "7 of 7 structures" in caplog.messages[-2]


def test_a_fetch_that_broke_off_goes_on_at_the_page_where_it_stopped(proxy, provider, tmp_path, waits):
    query = OptimadeQuery(proxy.address, page_limit=3)
    proxy.fault = down_after(3)
    with pytest.raises(WorkError, match=r"page 4 could not be fetched: 6 tries failed.*503") as caught:
        fetch(query, tmp_path, sleep=waits.append)
    assert re.search(r"^127\.0\.0\.1:\d+: .*9 of 17 structures are kept in .*same command goes on", str(caught.value))
    assert len(proxy.requests) == 3 + TRIES
    partial = tmp_path / f"{query.sha256}.partial.jsonl"
    assert not (tmp_path / f"{query.sha256}.jsonl").exists()
    assert ids(partial) == unpaged(provider)[:9]

    with partial.open("ab") as file:
        file.write(b'{"id": "mpf_half a li')  # as a process leaves it that was killed while it wrote
    proxy.requests.clear()
    proxy.fault = lambda *_: None
    path = fetch(query, tmp_path)
    assert proxy.offsets == ["9", "12", "15"]
    assert ids(path) == unpaged(provider)
    assert not partial.exists()


def test_a_killed_process_costs_the_page_it_was_waiting_for_and_no_more(proxy, provider, tmp_path):
    waiting, killed = threading.Event(), threading.Event()

    def hang(number: int, *_: object) -> Answer | None:
        if number == 4:
            waiting.set()
            killed.wait(timeout=30)
            return Answer(503)
        return None

    proxy.fault = hang
    query = OptimadeQuery(proxy.address, page_limit=3)
    code = (
        "import sys; from pathlib import Path; from matstrata.pipelines.ingest.fetching.optimade import *; "
        "fetch(OptimadeQuery(sys.argv[1], page_limit=3), Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, proxy.address, str(tmp_path)])
    assert waiting.wait(timeout=30)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed.set()
    assert not (tmp_path / f"{query.sha256}.jsonl").exists()
    assert ids(fetch(query, tmp_path)) == unpaged(provider)
    assert proxy.offsets == ["0", "3", "6", "9", "9", "12", "15"]


def test_retry_after_is_honoured_to_the_second(proxy, provider, tmp_path, waits, caplog):
    in_two_minutes = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    told = {2: (429, "7"), 3: (503, "11"), 5: (429, in_two_minutes)}
    proxy.fault = lambda number, *_: (
        Answer(told[number][0], {"Retry-After": told[number][1]}) if number in told else None
    )
    path = fetch(OptimadeQuery(proxy.address, page_limit=6), tmp_path, sleep=waits.append)
    assert ids(path) == unpaged(provider)
    assert waits[:2] == [7, 11]
    assert 100 < waits[2] <= 120
    assert len(waits) == 3
    assert "page 2: HTTP 429 (Too Many Requests); trying again in 7.0 s" in caplog.text


def test_a_very_long_retry_after_is_left_to_the_caller(proxy, tmp_path, waits):
    proxy.fault = lambda number, *_: Answer(429, {"Retry-After": "3600"}) if number == 2 else None
    with pytest.raises(WorkError, match=r"page 2 .* come back in 60 minutes .*5 of 17 structures are kept"):
        fetch(OptimadeQuery(proxy.address, page_limit=5), tmp_path, sleep=waits.append)
    assert waits == []


def test_a_provider_that_asks_for_a_pause_between_pages_gets_it(proxy, tmp_path, waits):
    def paced(_number: int, path: str, pass_on: Callable[[str], Answer]) -> Answer:
        return changed(pass_on(path), lambda document: document["meta"].update(request_delay=1.5))

    proxy.fault = paced
    fetch(OptimadeQuery(proxy.address, page_limit=6), tmp_path, sleep=waits.append)
    assert waits == [1.5, 1.5]


def test_waits_grow_where_the_provider_names_none(proxy, provider, tmp_path, waits):
    proxy.fault = lambda number, *_: Answer((500, 502, 504, 503)[number - 2]) if 2 <= number <= 5 else None
    path = fetch(OptimadeQuery(proxy.address, page_limit=9), tmp_path, sleep=waits.append)
    assert ids(path) == unpaged(provider)
    assert all(0.5 * 2**n <= wait <= 1.5 * 2**n for n, wait in enumerate(waits))
    assert len(waits) == 4


@pytest.mark.parametrize("sized", [True, False])
def test_a_page_cut_off_in_its_middle_is_asked_for_again(proxy, provider, tmp_path, waits, sized):
    def cut(number: int, path: str, pass_on: Callable[[str], Answer]) -> Answer:
        answer = pass_on(path)
        if number == 2:
            answer.sent, answer.sized = 0.5, sized
        return answer

    proxy.fault = cut
    path = fetch(OptimadeQuery(proxy.address, page_limit=6), tmp_path, sleep=waits.append)
    assert ids(path) == unpaged(provider)
    assert proxy.offsets == ["0", "6", "6", "12"]
    assert len(waits) == 1


def test_a_provider_that_stays_down_leaves_nothing_that_looks_like_a_result(proxy, tmp_path, waits):
    proxy.fault = down
    with pytest.raises(
        WorkError, match=r"page 1 could not be fetched.*nothing came yet; the same command begins again"
    ):
        fetch(OptimadeQuery(proxy.address), tmp_path, sleep=waits.append)
    assert not list(tmp_path.glob("*.jsonl"))
    assert len(waits) == TRIES - 1


def test_nobody_at_the_address_is_said_so(tmp_path, waits):
    with pytest.raises(WorkError, match=r"127\.0\.0\.1:9: page 1 .*connection failed"):
        fetch(OptimadeQuery("http://127.0.0.1:9"), tmp_path, sleep=waits.append)


def test_a_bad_filter_is_explained_in_the_providers_words(proxy, tmp_path, waits):
    with pytest.raises(InputError, match=r"refused the query with HTTP 400 \(Unable to parse filter.*Expected one of"):
        fetch(OptimadeQuery(proxy.address, "nelements BIGGER 3"), tmp_path, sleep=waits.append)
    assert not list(tmp_path.glob("*.jsonl"))
    assert waits == []
    assert len(proxy.requests) == 2  # once with the order, once without


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"page_limit": 1000}, r"403 \(Max allowed page_limit is 100, you requested 1000\)"),
        ({"filter": "nelements>50"}, "has no structures that match 'nelements>50'"),
    ],
)
def test_a_query_that_can_have_no_answer_is_refused(provider, tmp_path, query, words):
    with pytest.raises(InputError, match=words):
        fetch(OptimadeQuery(provider, **query), tmp_path)
    assert not list(tmp_path.glob("*.json*"))


def test_an_error_that_comes_as_a_success_is_one(proxy, tmp_path):
    proxy.fault = lambda *_: Answer(200, body=b'{"data": [], "errors": [{"detail": "the index is being rebuilt"}]}')
    with pytest.raises(InputError, match="answered with an error: the index is being rebuilt"):
        fetch(OptimadeQuery(proxy.address), tmp_path)


def test_an_address_of_something_else_is_refused(proxy, tmp_path):
    proxy.fault = lambda *_: Answer(200, body=b'{"hello": "world"}')
    with pytest.raises(InputError, match="did not answer with a list of structures; correct the provider's address"):
        fetch(OptimadeQuery(proxy.address), tmp_path)


@pytest.mark.parametrize("base_url", ["optimade.org", "ftp://example.org", "https://", "https://example.org?a=1"])
def test_what_is_no_address_is_refused(base_url):
    with pytest.raises(InputError, match="not an OPTIMADE address"):
        OptimadeQuery(base_url)


@pytest.mark.parametrize("counts", [{"page_limit": 0}, {"max_results": 0}])
def test_counts_below_one_are_refused(counts):
    with pytest.raises(InputError, match="at least 1"):
        OptimadeQuery("https://example.org", **counts)


def test_messages_never_show_credentials():
    assert OptimadeQuery("https://me:secret@example.org/db/v1").provider == "example.org/db"


def test_a_provider_that_can_not_order_is_asked_without(proxy, provider, tmp_path):
    proxy.fault = lambda _, path, __: Answer(400, body=b"{}") if "sort=" in path else None
    path = fetch(OptimadeQuery(proxy.address, page_limit=10), tmp_path)
    assert sorted(ids(path)) == unpaged(provider)
    assert ["sort=id" in path for path in proxy.requests] == [True, False, False]


def changed(answer: Answer, change: Callable[[dict], object]) -> Answer:
    document = json.loads(answer.body)
    change(document)
    answer.body = json.dumps(document).encode()
    return answer


@pytest.mark.parametrize("relative", [True, False])
def test_links_that_are_objects_or_relative_are_followed(proxy, provider, tmp_path, relative):
    def wrap(document: dict) -> None:
        link = document["links"]["next"]
        if link is not None:
            short = f"structures?{urlsplit(link).query}"
            document["links"]["next"] = short if relative else {"href": link, "meta": {}}

    proxy.fault = lambda _, path, pass_on: changed(pass_on(path), wrap)
    assert ids(fetch(OptimadeQuery(proxy.address, page_limit=5), tmp_path)) == unpaged(provider)
    assert proxy.offsets == ["0", "5", "10", "15"]


def test_ids_that_come_twice_are_written_once_and_counted(proxy, provider, tmp_path, waits, caplog):
    """Pages overlap by one, as they do while a provider adds structures; also across a resumption."""
    caplog.set_level(logging.INFO, "matstrata.ingest")

    def shifted(_number: int, path: str, pass_on: Callable[[str], Answer]) -> Answer:
        return pass_on(re.sub(r"page_offset=(\d+)", lambda found: f"page_offset={int(found[1]) - 1}", path))

    query = OptimadeQuery(proxy.address, page_limit=5)
    proxy.fault = lambda number, *rest: shifted(number, *rest) if number < 3 else Answer(503)
    with pytest.raises(WorkError):
        fetch(query, tmp_path, sleep=waits.append)
    proxy.fault = shifted
    path = fetch(query, tmp_path)
    assert ids(path) == unpaged(provider)
    assert re.search(r"complete, 17 structures; [1-9]\d* came twice and were left out", caplog.messages[-1])


def test_an_empty_page_ends_a_chain_that_has_no_end(proxy, provider, tmp_path):
    def endless(document: dict) -> None:
        document["links"]["next"] = (
            f"{proxy.address}/v1/structures?page_limit=9&sort=id&page_offset={9 * len(proxy.requests)}"
        )

    proxy.fault = lambda _, path, pass_on: changed(pass_on(path), endless)
    assert ids(fetch(OptimadeQuery(proxy.address, page_limit=9), tmp_path)) == unpaged(provider)
    assert proxy.offsets == ["0", "9", "18"]


def test_a_provider_that_gives_one_page_under_ever_new_links_is_reported(proxy, provider, tmp_path):
    first = f"{provider}/v1/structures?page_limit=9&sort=id"

    def same(number: int, _path: str, pass_on: Callable[[str], Answer]) -> Answer:
        def next_link(document: dict) -> None:
            document["links"]["next"] = f"{proxy.address}/v1/structures?page_number={number + 1}"

        return changed(pass_on(first.removeprefix(provider)), next_link)

    proxy.fault = same
    with pytest.raises(WorkError, match="the last 5 pages repeat what came before"):
        fetch(OptimadeQuery(proxy.address, page_limit=9), tmp_path)
    assert len(proxy.requests) == 6


def test_a_next_link_that_is_none_is_reported(proxy, tmp_path):
    def broken(document: dict) -> None:
        document["links"]["next"] = "http://[broken"

    proxy.fault = lambda _, path, pass_on: changed(pass_on(path), broken)
    with pytest.raises(InputError, match="as its next page, which is not a URL"):
        fetch(OptimadeQuery(proxy.address, page_limit=9), tmp_path)


def test_an_address_that_can_not_be_read_is_refused():
    with pytest.raises(InputError, match="is not an OPTIMADE address"):
        OptimadeQuery("http://[broken")


def test_a_chain_that_bites_its_tail_is_reported(proxy, tmp_path):
    def circle(document: dict) -> None:
        document["links"]["next"] = f"{proxy.address}/v1/structures?page_limit=9&page_offset=9"

    proxy.fault = lambda _, path, pass_on: changed(pass_on(path), circle)
    with pytest.raises(WorkError, match="names as next a page that was fetched before"):
        fetch(OptimadeQuery(proxy.address, page_limit=9), tmp_path)
    assert len(proxy.requests) == 2


def test_a_chain_that_ends_too_early_is_noted(proxy, tmp_path, caplog):
    proxy.fault = lambda _, path, pass_on: changed(pass_on(path), lambda document: document["links"].update(next=None))
    assert len(ids(fetch(OptimadeQuery(proxy.address, page_limit=9), tmp_path))) == 9
    assert "the last page came after 9 of 17 structures" in caplog.text


@pytest.mark.parametrize("harm", ["link expired", "state damaged", "lines lost", "too old"])
def test_what_can_not_be_resumed_is_begun_anew(proxy, provider, tmp_path, waits, harm):
    query = OptimadeQuery(proxy.address, page_limit=6)
    proxy.fault = down_after(2)
    with pytest.raises(WorkError):
        fetch(query, tmp_path, sleep=waits.append)
    proxy.requests.clear()
    proxy.fault = lambda *_: None
    partial, state = tmp_path / f"{query.sha256}.partial.jsonl", tmp_path / f"{query.sha256}.state.json"
    if harm == "link expired":
        proxy.fault = lambda number, *_: Answer(410) if number == 1 else None
    elif harm == "state damaged":
        state.write_text("{", encoding="utf-8")
    elif harm == "lines lost":
        os.truncate(partial, 100)
    else:
        os.utime(state, (0, 0))
    assert ids(fetch(query, tmp_path)) == unpaged(provider)
    assert proxy.offsets == ["12"] * (harm == "link expired") + ["0", "6", "12"]


def test_a_page_refused_in_the_middle_says_what_to_do(proxy, tmp_path):
    proxy.fault = lambda number, *_: (
        Answer(400, body=b'{"errors": [{"detail": "offset too large"}]}') if number > 2 else None
    )
    with pytest.raises(WorkError, match=r"400 \(offset too large\), at page 3.*12 of 17 .*narrower filter"):
        fetch(OptimadeQuery(proxy.address, page_limit=6), tmp_path)


def test_a_new_fetch_replaces_the_old_file_only_when_complete(proxy, tmp_path, waits):
    query = OptimadeQuery(proxy.address, page_limit=9)
    path = fetch(query, tmp_path)
    path.write_text('{"id": "old"}\n', encoding="utf-8")
    proxy.fault = down_after(3)
    with pytest.raises(WorkError):
        fetch(query, tmp_path, sleep=waits.append)
    assert ids(path) == ["old"]
    proxy.fault = lambda *_: None
    assert len(ids(fetch(query, tmp_path))) == 17


def test_two_processes_do_not_write_one_file(provider, tmp_path):
    query = OptimadeQuery(provider)
    with (
        FileLock(tmp_path / f"{query.sha256}.lock"),
        pytest.raises(WorkError, match="another process fetches the same"),
    ):
        fetch(query, tmp_path)


def test_a_folder_that_can_not_be_made_is_named(provider, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match=r"folder .*file can't be written"):
        fetch(OptimadeQuery(provider), tmp_path / "file")


def test_queries_have_files_of_their_own():
    base = {"base_url": "https://example.org", "filter": "nelements=2", "response_fields": ("nsites",)}
    others: list[Mapping[str, object]] = [
        {"base_url": "https://example.com"},
        {"filter": ""},
        {"response_fields": ()},
        {"max_results": 5},
    ]
    hashes = {OptimadeQuery(**base | other).sha256 for other in [{}, *others]}
    assert len(hashes) == 5
    assert OptimadeQuery(**base | {"base_url": "https://example.org/v1/"}).sha256 in hashes


def test_a_contract_brings_a_provider_into_the_store(provider: str, tmp_path: Path) -> None:
    """Its data are made up: all but one structure have atoms on top of each other, and are refused for it."""
    contract = load_contract(_contract(tmp_path, provider))
    files = locate(contract.files, cache=tmp_path / "cache", mirrors=())
    lake = Lake(tmp_path / "store")
    lake.init()
    done = refresh_source(lake, contract, files)
    assert (done.rows_in, done.rows_accepted + done.rows_rejected) == (17, 17)
    assert done.rows_accepted == 1
    again = locate(contract.files, cache=tmp_path / "cache", mirrors=())
    assert again == files  # young enough: not asked for anew
    assert not refresh_source(lake, contract, again).changed


def _contract(folder: Path, provider: str) -> Path:
    place = folder / "reference.yaml"
    place.write_text(
        f"""
source: reference
title: Structures of the reference server
description: Made up.
kind: computation
method: none
licence: MIT
citation: {{bibtex: "@misc{{reference}}"}}
files:
  - optimade: {{base_url: "{provider}"}}
reader: optimade
columns: {{structure: structure, record_id: id}}
""",
        encoding="utf-8",
    )
    return place
