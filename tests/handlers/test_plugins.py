"""Handlers of others: subclasses, and distributions that are installed beside the package."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import aletheia_like as al
from aletheia_like.handlers.choosing import find, names

PLUGIN = """
import aletheia_like as al


class Celsius:
    def __init__(self, degrees):
        self.degrees = degrees


class Degrees(al.Handler):
    name = "degrees"
    media_type = "text/plain"
    suffix = ".celsius"

    def accepts(self, value):
        return isinstance(value, Celsius)

    def dump(self, value, path, digits=1):
        path.write_text(f"{value.degrees:.{digits}f}")

    def load(self, path):
        return Celsius(float(path.read_text()))
"""


@pytest.fixture
def site(tmp_path):
    """Return a function that installs a distribution with handlers into a folder."""

    def install(distribution, module, source, **handlers):
        stem = f"{distribution.replace('-', '_')}-1.5"
        points = "".join(f"{name} = {module}:{target}\n" for name, target in handlers.items())
        files = {
            f"{module}.py": source,
            f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\n"
            "Version: 1.5\n",
            f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
            f"{stem}.dist-info/entry_points.txt": f"[aletheia_like.handlers]\n{points}",
        }
        wheel = tmp_path / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
            archive.writestr(f"{stem}.dist-info/RECORD", "".join(f"{one},,\n" for one in files))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        folder = tmp_path / "site"
        subprocess.run([*pip, "--target", folder, wheel], check=True, timeout=120)
        return folder

    return install


@pytest.fixture
def with_site(tmp_path):
    """Return a function that runs a program, with a metastore `ms`, and folders to import from."""

    def program(source, *folders):
        head = (
            f"import sys; sys.path[:0] = {[str(one) for one in folders]!r}\n"
            "import warnings, aletheia_like as al\n"
            f"ms = al.Metastore('p', url={(tmp_path / 's').as_uri()!r}, git='off', "
            f"cache_dir={str(tmp_path / 'c')!r})\n"
            "exper = ms.exper('e')\n"
        )
        command = [sys.executable, "-c", head + textwrap.dedent(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return program


def test_an_installed_handler_is_found_and_named_where_it_is_missing(site, with_site):  # V10
    folder = site("warm-files", "warm", PLUGIN, degrees="Degrees")

    added = """
        from warm import Celsius
        version = exper.add_artifact('a', Celsius(20.25), handler='degrees', digits=2)
        assert exper.add_artifact('inferred', Celsius(3)).record.handler == 'degrees'
        assert version.load().degrees == 20.25, version.record
        print(version.record.libraries['warm-files'], version.record.filename)
    """
    assert with_site(added, folder).split() == ["1.5", "a.celsius"]

    without = """
        try:
            exper.load_artifact('a')
        except al.MissingExtraError as error:
            print(error)
        try:
            exper.load_artifact('a', validate=False)
        except al.MissingExtraError as error:
            print(error)
        try:
            exper.add_artifact('b', 1, handler='degrees')
        except al.InvalidValueError as error:
            print(error)
    """
    load, unchecked, add = with_site(without).splitlines()
    assert "pip install 'warm-files==1.5'" in load
    assert "warm-files 1.5" in unchecked
    assert "there is no handler 'degrees': there are bytes, cloudpickle" in add


def test_a_broken_plugin_names_itself_and_does_not_break_others(site, with_site):
    folder = site(
        "bad-files",
        "bad",
        "class Duck: pass\ndef gone(): raise OSError('no licence')\n",
        absent="Nothing",
        duck="Duck",
        raising="gone",
        json="Duck",
    )

    program = """
        for name in ('absent', 'duck', 'raising'):
            try:
                exper.add_artifact('a', 1, handler=name)
            except al.InvalidValueError as error:
                print(error)
        assert exper.add_artifact('a', 1, handler='json').load() == 1
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter('always')
            try:
                exper.add_artifact('a', object())
            except al.InvalidValueError as error:
                print(error)
        print(len([one for one in seen if 'bad-files' in str(one.message)]))
    """
    absent, duck, raising, none, warned = with_site(program, folder).splitlines()
    assert "plug-in bad-files (handler 'absent' = bad:Nothing) cannot be loaded" in absent
    assert "plug-in bad-files" in duck
    assert "no subclass of aletheia_like.Handler" in duck
    assert "bad-files" in raising
    assert "no handler is for a builtins.object" in none
    assert warned == "3"


def test_a_subclass_is_usable_by_its_name(tmp_path):  # V10
    class Reversed(al.Handler):
        name = "reversed"
        media_type = "text/plain"
        suffix = ".txt"

        def dump(self, value, path):
            path.write_text(value[::-1])

        def load(self, path):
            return path.read_text()[::-1]

    with al.Metastore("p", url="memory://", cache_dir=tmp_path, git="off") as ms:
        version = ms.exper("e").add_artifact("a", "abc", handler="reversed")

        assert version.open().read() == b"cba"
        assert version.load() == "abc"
        assert "reversed" in names()
        del Reversed
        gc.collect()
        with pytest.raises(al.MissingExtraError, match="import the module that defines it"):
            version.load()


def test_no_subclass_replaces_a_handler_of_the_package():
    class Other(al.Handler):
        name = "json"
        media_type = "text/plain"
        suffix = ".txt"

        def dump(self, value, path):
            raise AssertionError

        def load(self, path):
            raise AssertionError

    assert type(find("json").handler).__module__ == "aletheia_like.handlers.texts"
    assert Other.name == "json"


def test_every_handler_says_what_it_is():
    for name in names():
        handler = find(name).handler
        assert handler.name == name
        assert handler.suffix.startswith(".")
        assert "/" in handler.media_type
        assert handler.form({}) == (handler.suffix, handler.media_type)
    code = {name for name in names() if not find(name).handler.trusted}
    assert code >= {"skops", "joblib", "cloudpickle"}
    assert not code & {"json", "yaml", "text", "bytes", "csv", "parquet", "npy", "npz", "torch"}


def test_every_handler_of_the_package_is_in_the_reference():
    page = Path(__file__).parents[2] / "docs" / "reference" / "handlers.md"
    text = page.read_text(encoding="utf-8")
    for name in names():
        handler = find(name).handler
        if type(handler).__module__.startswith("aletheia_like."):
            assert f"| `{name}` | `{handler.suffix}` |" in text
