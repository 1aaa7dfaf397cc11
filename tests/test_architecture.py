"""The shape of the package: one-way imports, small modules, a quick import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import aletheia_like as al

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "aletheia_like").rglob("*.py"))
MOST_LINES = 450


def test_imports_go_one_way():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_module_grows_too_large(module):
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_importing_loads_nothing_heavy():  # B8
    heavy = "google grpc pandas numpy git fsspec click rich sqlite3 filelock tenacity"
    program = (
        f"import sys, aletheia_like\nfound = [m for m in {heavy.split()} if m in sys.modules]\n"
        "print(found, len(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("[] ")


def test_opening_an_embedded_metastore_loads_no_cloud(tmp_path):  # B8
    program = (
        "import sys, aletheia_like as al\n"
        "ms = al.Metastore('p', url=sys.argv[1], cache_dir=sys.argv[2], git='off')\n"
        "with ms.exper('e').start_run() as run: run.add_metric('a', 1)\n"
        "print([m for m in ('google.cloud', 'grpc', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, (tmp_path / "s").as_uri(), str(tmp_path / "c")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


def test_public_names_are_sorted_and_all_there():
    assert al.__all__ == sorted(al.__all__)
    for name in al.__all__:
        assert getattr(al, name) is not None
    assert set(al.__all__) <= set(dir(al))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = al.nonsense


def test_every_error_has_its_builtin_parent():
    parents = {
        "NotFoundError": LookupError,
        "InvalidValueError": ValueError,
        "RunStateError": RuntimeError,
        "ReadOnlyError": al.RunStateError,
        "DirtyTreeError": RuntimeError,
        "UnavailableError": ConnectionError,
        "AccessDeniedError": PermissionError,
        "SettingsError": ValueError,
        "MissingExtraError": ImportError,
    }
    for name in al.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(al, name), al.AletheiaError)
            assert issubclass(getattr(al, name), parents.get(name, Exception))


def test_a_dirty_tree_error_keeps_its_files_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(al.DirtyTreeError("told", ["a.py"])))
    assert (str(error), error.files) == ("told", ("a.py",))
