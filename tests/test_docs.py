"""Every Python block of the documentation runs; every verb is in the reference."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SPARK = ROOT / "docs" / "howto" / "spark.md"
WITH_SPARK = [ROOT / "docs" / "howto" / "open-data.md", SPARK]
"""They run in one process: Java and Spark take most of the time to start."""
SPARK_OPTIONS = {
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def blocks(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def name(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The folder of somebody who tries what the pages say."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALETHEIA_HOME", str(tmp_path / "home"))
    # A reader of the pages starts with the embedded store.
    for variable in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "README.md").write_text("some words\n")
    return tmp_path


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page) and page not in WITH_SPARK], ids=name
)
def test_the_blocks_of_a_page_run_in_order(page, reader):
    found = blocks(page)
    runs_in_pytest = any("def test_" in block or "class Test" in block for block in found)
    program = reader / ("test_page.py" if runs_in_pytest else "page.py")
    program.write_text("\n".join(found))
    command = [sys.executable, str(program)]
    if runs_in_pytest:
        plugin = ["-p", "aletheia_like.testing.plugin"] if not is_installed() else []
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin]
        command.append(str(program))

    check_runs(command)


def test_the_blocks_of_the_pages_with_spark_run_in_order(reader, monkeypatch):
    (reader / "spark-defaults.conf").write_text(
        "".join(f"{option} {value}\n" for option, value in SPARK_OPTIONS.items())
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(reader))
    missing = missing_for_spark()
    for page in WITH_SPARK:
        if page != SPARK or not missing:
            (reader / f"{page.stem}.py").write_text("\n".join(blocks(page)))
    programs = [str(path) for path in sorted(reader.glob("*.py"))]
    each = "import runpy, sys\nfor page in sys.argv[1:]: runpy.run_path(page)"

    check_runs([sys.executable, "-c", each, *programs])

    if missing:
        pytest.skip(f"missing {', '.join(missing)}: pip install 'aletheia-like[spark]', Java 17")


def check_runs(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def missing_for_spark():
    """Return what of Spark and its Java is not here, unless they are required."""
    missing = [one for one in ("pyspark", "pyarrow") if find_spec(one) is None]
    missing += [] if os.environ.get("JAVA_HOME") or shutil.which("java") else ["java"]
    return [] if "spark" in os.environ.get("ALETHEIA_REQUIRE", "").split(",") else missing


def is_installed():
    from importlib.metadata import entry_points

    return any(one.name == "aletheia" for one in entry_points(group="pytest11"))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_verb_and_option_is_in_the_reference():
    import click

    from aletheia_like.cli.main import cli

    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    everywhere = {"--json", "--project", "--url", "--help"}
    context = click.Context(cli)
    for verb in cli.list_commands(context):
        assert f"aletheia {verb}" in text
        command = cli.get_command(context, verb)
        commands = command.commands.values() if isinstance(command, click.Group) else [command]
        for one in commands:
            for option in one.params:
                if isinstance(option, click.Option) and not option.hidden:
                    assert set(option.opts) & everywhere or option.opts[-1] in text, option


def test_every_setting_is_in_the_reference():
    from aletheia_like.settings import load_settings

    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    for setting, _, _ in load_settings(project="p", url="memory://").items():
        assert f"`{setting}`" in text
        assert f"`ALETHEIA_{setting.upper()}`" in text
