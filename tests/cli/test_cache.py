"""`aletheia cache`: listing, pinning and pruning local copies."""

from __future__ import annotations

import pytest

import aletheia_like as al
from aletheia_like.adapters.directory import DirectoryBlobStore
from aletheia_like.cache import LocalCache
from aletheia_like.cli.cache import _row


@pytest.fixture
def fetched(tmp_path):
    """A file and a directory that were fetched by a process that has ended."""
    url = (tmp_path / "home").as_uri()
    (tmp_path / "many").mkdir()
    for number in range(3):
        (tmp_path / "many" / f"{number}.txt").write_text(str(number) * 100)
    (tmp_path / "one.csv").write_text("a,b\n")
    with al.Metastore("p", url=url, cache_dir=tmp_path / "cache", git="off") as ms:
        many = ms.add_dataset("many", tmp_path / "many")
        one = ms.add_dataset("one", tmp_path / "one.csv")
        ms.get_dataset("many", download=True)
        ms.get_dataset("one", download=True)
        ms.cache.release()
    return many, one


def kinds(answer):
    return {row["kind"]: row for row in answer.json}


def test_directories_are_one_line_each(aletheia, fetched):  # C7
    many, one = fetched
    listed = kinds(aletheia("cache", "ls", "--json"))

    assert listed["directory"]["digest"] == many.digest
    assert (listed["directory"]["files"], listed["directory"]["size"]) == (3, 300)
    assert one.digest in {row["digest"] for row in aletheia("cache", "ls", "--json").json}
    files = aletheia("cache", "ls", "--files", "--json").json
    assert sorted(row["size"] for row in files if row["size"] < 101) == [4, 100, 100, 100]


def test_what_is_pruned_while_it_is_listed_is_listed_without_its_name(fetched, tmp_path):
    cache = LocalCache(tmp_path / "cache", DirectoryBlobStore(tmp_path / "none"))
    (tree, *_) = [one for one in cache.holdings() if one.kind == "tree"]
    cache.prune(0)

    assert not tree.path.exists()
    assert _row(tree, set())["digest"] == tree.digest


def test_pruning_spares_what_is_pinned(aletheia, fetched):  # C7, D13
    many, one = fetched
    assert aletheia("cache", "pin", "many", "-p", "p").out.split()[0] == many.digest
    assert many.digest[:8] in aletheia("cache", "ls").out

    planned = aletheia("cache", "prune", "--max-size", "0", "--dry-run", "--json").json
    assert planned["dry_run"]
    assert one.digest in {row["digest"] for row in planned["removed"]}
    assert aletheia("cache", "prune", "--max-size", "0").code == 2
    done = aletheia("cache", "prune", "--max-size", "0", "--yes")
    assert "removed" in done.err
    assert "pinned or in use" in done.err
    left = aletheia("cache", "ls", "--json").json
    assert many.digest in {row["digest"] for row in left if row["pinned"]}
    assert one.digest not in {row["digest"] for row in left}

    assert aletheia("cache", "unpin", many.digest[:10]).out == f"{many.digest}\n"
    assert aletheia("cache", "unpin", "many", "-p", "p").code == 0
    aletheia("cache", "prune", "--max-size", "0", "--yes")
    assert aletheia("cache", "ls", "--json").json == []


def test_the_settings_say_how_much_is_left(aletheia, fetched):
    nothing = aletheia("cache", "prune", "--json").json
    assert nothing["removed"] == []

    bounded = aletheia("cache", "prune", "--yes", "--json", ALETHEIA_CACHE_MAX_BYTES="0 GB").json
    assert bounded["size"] == 0


def test_what_cannot_be_meant_is_refused(aletheia, fetched):
    assert aletheia("cache", "prune", "--max-size", "plenty").code == 2
    unknown = aletheia("cache", "pin", "nothing", "-p", "p")
    assert unknown.code == 3
    assert "neither in the cache nor a data set" in unknown.err
    bad = aletheia("cache", "ls", ALETHEIA_CACHE_MAX_BYTES="plenty")
    assert bad.code == 2
    assert "cache_max_bytes" in bad.err
