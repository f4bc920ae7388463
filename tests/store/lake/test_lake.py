"""The store: one commit is one snapshot or nothing, and every snapshot stays readable."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from matstrata.schemas.errors import InputError, WorkError
from matstrata.schemas.tables import TABLES
from matstrata.store.lake.lake import Lake, current_snapshot, newest_change
from tests.store.lake.writers import count, names, releases


class TestInit:
    def test_makes_all_tables_with_units_as_comments(self, lake):
        with lake.reader() as con:
            tables = {
                name
                for (name,) in con.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'"
                ).fetchall()
            }
            comment = con.execute(
                "SELECT comment FROM duckdb_columns() WHERE database_name = 'lake' AND table_name = 'observations' "
                "AND column_name = 'temperature_k'"
            ).fetchone()
        assert tables == set(TABLES)
        assert comment == ("temperature, where stated [K]",)

    def test_columns_come_back_with_the_types_that_were_declared(self, lake):
        with lake.reader() as con:
            for name, table in TABLES.items():
                schema = con.execute(f"FROM {name}").to_arrow_table().schema
                assert schema.names == list(table.column_names)
                for column in table.columns:
                    if not pa.types.is_timestamp(column.type) and not pa.types.is_list(column.type):
                        assert schema.field(column.name).type == column.type, f"{name}.{column.name}"

    def test_a_second_init_makes_no_snapshot(self, lake):
        before = lake.snapshot()
        lake.init()
        assert lake.snapshot() == before

    def test_a_table_that_a_newer_version_declares_is_added(self, lake):
        with lake.commit("an older store") as transaction:
            transaction.insert("materials", pa.table({"material_id": ["GaN"]}))
            transaction.con.execute("DROP TABLE releases")
        lake.init()
        assert count(lake, "releases") == 0
        assert count(lake, "materials") == 1

    def test_a_death_while_the_catalog_was_made_is_healed(self, tmp_path):
        lake = Lake(tmp_path / "store")
        lake.root.mkdir()
        lake.catalog_file.touch()
        with pytest.raises(InputError, match="matstrata run"), lake.reader():
            pass
        lake.init()
        assert count(lake, "observations") == 0

    def test_several_at_once_make_one_store(self, tmp_path):
        lakes = [Lake(tmp_path / "store") for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(Lake.init, lakes))
        assert lakes[0].snapshot() == 1

    def test_a_folder_with_quotes_blanks_and_accents(self, pristine, tmp_path):
        lake = Lake(Path(shutil.copytree(pristine, tmp_path / "it's a störe #1? 100%")))
        with lake.commit("add") as transaction:
            transaction.insert("releases", releases(*map(str, range(100))))
        assert len(names(lake)) == 100

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "store").touch()
        with pytest.raises(WorkError, match="MATSTRATA_STORE"):
            Lake(tmp_path / "store").init()

    def test_something_else_in_place_of_the_catalog(self, tmp_path):
        lake = Lake(tmp_path)
        lake.catalog_file.write_bytes(b"not a database, " * 1000)
        with pytest.raises(WorkError, match="file is not a database"):
            lake.init()


class TestCommit:
    def test_one_transaction_is_one_snapshot_and_says_who_and_why(self, lake):
        before = lake.snapshot()
        with lake.commit("two tables at once", {"run": 7, "files": ["é"]}) as transaction:
            transaction.insert("releases", releases("a"))
            transaction.insert("materials", pa.table({"material_id": ["GaN"]}))
            transaction.facts["found"] = "in the block"
        assert (transaction.snapshot, transaction.changed) == (before + 1, True)
        with lake.reader() as con:
            author, message, facts = con.execute(
                "SELECT author, commit_message, commit_extra_info FROM lake.snapshots() ORDER BY snapshot_id DESC"
            ).fetchone()
        assert author
        assert message == "two tables at once"
        assert json.loads(facts) == {"run": 7, "files": ["é"], "found": "in the block"}

    def test_a_block_that_changes_nothing_makes_no_snapshot(self, lake):
        before = lake.snapshot()
        with lake.commit("look") as transaction:
            transaction.con.execute("DELETE FROM releases WHERE name = 'nobody'")
            transaction.insert("releases", releases())
        assert (transaction.snapshot, transaction.changed, lake.snapshot()) == (before, False, before)

    def test_an_exception_leaves_everything_as_it_was(self, lake):
        before = lake.snapshot()
        with pytest.raises(ZeroDivisionError), lake.commit("fail") as transaction:  # noqa: PT012
            transaction.insert("releases", releases(*map(str, range(1000))))
            transaction.con.execute("DROP TABLE materials")
            1 / 0  # noqa: B018
        assert (lake.snapshot(), names(lake), count(lake, "materials")) == (before, [], 0)

    def test_an_exception_releases_the_lock(self, lake):
        with pytest.raises(ZeroDivisionError), lake.commit("fail"):
            1 / 0  # noqa: B018
        with Lake(lake.root, lock_timeout=1).commit("next") as transaction:
            transaction.insert("releases", releases("a"))
        assert names(lake) == ["a"]

    def test_wrong_sql_is_a_bug_and_not_a_full_disk(self, lake):
        with pytest.raises(duckdb.CatalogException), lake.commit("typo") as transaction:
            transaction.con.execute("DELETE FROM relaeses")

    @pytest.mark.parametrize("message", ["", "  \n"])
    def test_needs_a_message(self, lake, message):
        with pytest.raises(InputError, match="needs a message"), lake.commit(message):
            pass

    def test_columns_go_by_name(self, lake):
        with lake.commit("add") as transaction:
            transaction.insert("releases", pa.table({"note": ["for the paper"], "name": ["a"]}))
        with lake.reader() as con:
            assert con.execute("SELECT name, note, snapshot FROM releases").fetchall() == [("a", "for the paper", None)]


class TestReading:
    def test_a_reader_never_sees_half_a_commit(self, lake):
        with lake.commit("first") as transaction:
            transaction.insert("releases", releases("a"))
        with lake.reader() as early, lake.commit("second") as transaction:
            transaction.insert("releases", releases("b"))
            assert names(lake) == ["a"]
            assert early.execute("SELECT name FROM releases").fetchall() == [("a",)]
        assert names(lake) == ["a", "b"]

    def test_every_snapshot_stays_readable(self, lake):
        for name in "abc":
            with lake.commit(f"add {name}") as transaction:
                transaction.insert("releases", releases(name))
        last = transaction.snapshot
        assert [names(lake, snapshot) for snapshot in range(last - 3, last + 1)] == [
            [],
            ["a"],
            ["a", "b"],
            ["a", "b", "c"],
        ]
        with lake.reader(last - 1) as con:
            assert current_snapshot(con) == last - 1

    def test_the_newest_change_of_other_tables(self, lake):
        """A statement on two tables, of which one counts, is a change; deletions are changes too."""
        with lake.commit("counts") as transaction:
            transaction.insert("releases", releases("a"))
        counted = transaction.snapshot
        with lake.commit("does not") as transaction:
            transaction.con.execute("INSERT INTO models (model_id) VALUES ('m')")
        with lake.reader() as con:
            assert newest_change(con, ["models"])[0] == counted
            assert newest_change(con, ["releases", "models"])[0] < counted
            assert newest_change(con, ["predictions"])[0] == transaction.snapshot
        with lake.commit("both") as transaction:
            transaction.con.execute("DELETE FROM models")
            transaction.con.execute("DELETE FROM releases")
        with lake.reader() as con:
            assert newest_change(con, ["models"])[0] == transaction.snapshot

    @pytest.mark.parametrize("snapshot", [99, -1])
    def test_no_such_snapshot(self, lake, snapshot):
        with pytest.raises(InputError, match=f"no snapshot {snapshot}"), lake.reader(snapshot):
            pass

    def test_no_store(self, tmp_path):
        with pytest.raises(InputError, match="matstrata run"), Lake(tmp_path / "nowhere").reader():
            pass
        assert not (tmp_path / "nowhere").exists()

    def test_a_reader_can_not_write(self, lake):
        with lake.reader() as con, pytest.raises(duckdb.Error, match="read-only"):
            con.execute("DELETE FROM releases")

    def test_a_copy_is_a_store_of_its_own(self, lake, tmp_path):
        """A store that was copied or moved must neither read nor write where it came from."""
        with lake.commit("add") as transaction:
            transaction.insert("materials", pa.table({"material_id": [str(i) for i in range(1000)]}))
        copy = Lake(Path(shutil.copytree(lake.root, tmp_path / "copy")))
        shutil.rmtree(lake.data)
        assert count(copy, "materials") == 1000
        with copy.commit("add") as transaction:
            transaction.insert("materials", pa.table({"material_id": [str(i) for i in range(1000)]}))
        assert count(copy, "materials") == 2000
        assert not lake.data.exists()
