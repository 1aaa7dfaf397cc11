"""Which setting wins, where it came from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from aletheia_like.errors import SettingsError
from aletheia_like.settings import (
    BlobsUrl,
    EmbeddedUrl,
    FirestoreUrl,
    MemoryUrl,
    load_settings,
    parse_blobs_url,
    parse_url,
)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """A folder without project files, and no cloud."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "FIRESTORE_EMULATOR_HOST",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT",
    ):
        monkeypatch.delenv(name, raising=False)


def write_user_file(text):
    import platformdirs

    path = platformdirs.user_config_path("aletheia", appauthor=False) / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_first_that_names_a_setting_wins(tmp_path, monkeypatch):
    assert load_settings(project="p").origin("git") == "default"

    user = write_user_file('git = "off"')
    settings = load_settings(project="p")
    assert (settings.git, settings.origin("git")) == ("off", str(user))

    (tmp_path / "pyproject.toml").write_text('[tool.aletheia]\ngit = "snapshot"\n')
    settings = load_settings(project="p")
    assert settings.git == "snapshot"
    assert settings.origin("git") == f"{tmp_path / 'pyproject.toml'} [tool.aletheia]"

    (tmp_path / "aletheia.toml").write_text('git = "warn"\n')
    assert load_settings(project="p").git == "warn"

    monkeypatch.setenv("ALETHEIA_GIT", "require")
    settings = load_settings(project="p")
    assert (settings.git, settings.origin("git")) == ("require", "ALETHEIA_GIT")

    settings = load_settings(project="p", git="refuse")
    assert (settings.git, settings.origin("git")) == ("refuse", "argument")


def test_project_files_are_found_up_to_the_git_root(tmp_path, monkeypatch):
    inside = tmp_path / "repo" / "a" / "b"
    inside.mkdir(parents=True)
    (tmp_path / "aletheia.toml").write_text('project = "outside"')
    monkeypatch.chdir(inside)
    assert load_settings().project == "outside"

    (tmp_path / "repo" / ".git").mkdir()
    with pytest.raises(SettingsError, match="no project is named"):
        load_settings()
    (tmp_path / "repo" / "aletheia.toml").write_text('project = "inside"')
    assert load_settings().project == "inside"


def test_no_project_says_how_to_name_one():
    with pytest.raises(SettingsError, match="ALETHEIA_PROJECT"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("project = ", "cannot be read"),
        ('colour = "red"', "no such setting: colour"),
        ('git = "maybe"', "git is one of"),
        ("timeout = -1", "timeout is a number"),
        ("timeout = true", "timeout is a number"),
        ('offline = "perhaps"', "true or false"),
        ('url = "ftp://x"', "no address of a store"),
        ('project = ""', "name of a project"),
        ('blobs = "nothing"', "no place for bytes"),
        ('snapshot_max_bytes = "many"', "number of bytes"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(tmp_path, text, told):
    (tmp_path / "aletheia.toml").write_text(text)

    with pytest.raises(SettingsError, match=told):
        load_settings(**({} if "project" in text else {"project": "p"}))


def test_an_unknown_argument_is_refused():
    with pytest.raises(SettingsError, match="colour"):
        load_settings(project="p", colour="red")


def test_values_of_the_environment_are_parsed(monkeypatch, tmp_path):
    monkeypatch.setenv("ALETHEIA_OFFLINE", "yes")
    monkeypatch.setenv("ALETHEIA_TIMEOUT", "2.5")
    monkeypatch.setenv("ALETHEIA_ENVIRONMENT_VARIABLES", "CUDA_*, LANG")
    monkeypatch.setenv("ALETHEIA_CACHE_DIR", "~/cache")
    settings = load_settings(project="p")

    assert settings.offline is True
    assert settings.timeout == 2.5
    assert settings.environment_variables == ("CUDA_*", "LANG")
    assert settings.cache_dir == str(Path.home() / "cache")


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        ("memory://", MemoryUrl()),
        ("file:///data/store", EmbeddedUrl(Path("/data/store"))),
        ("file:///data/with%20space", EmbeddedUrl(Path("/data/with space"))),
        ("file:///~/store", EmbeddedUrl(Path.home() / "store")),
        ("firestore://gcp/(default)?bucket=b", FirestoreUrl("gcp", "(default)", "b")),
        ("firestore://gcp", FirestoreUrl("gcp", "(default)", None)),
        ("firestore://gcp/named?bucket=gs://b", FirestoreUrl("gcp", "named", "b")),
    ],
)
def test_addresses_of_stores(url, meaning):
    assert parse_url(url) == meaning


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store",
        "/data",
        "file://host/x",
        "file:///",
        "firestore://",
        "firestore://p/a/b",
        "firestore://p/d?bukket=b",
        "https://x",
    ],
)
def test_what_is_no_address_of_a_store(url):
    with pytest.raises(SettingsError, match=r"firestore://|file:///"):
        parse_url(url)


def test_a_folder_is_told_its_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=f"this folder is {(tmp_path / 'a').as_uri()}"):
        parse_url("./a")


def test_addresses_of_places_for_bytes():
    assert parse_blobs_url("gs://b/p/q") == BlobsUrl("gs", "b", "p/q")
    assert parse_blobs_url("s3://b/p") == BlobsUrl("s3", "b", "p")
    assert parse_blobs_url("file:///d/e") == BlobsUrl("file", "", "/d/e")
    for url in ("gs://", "folder"):
        with pytest.raises(SettingsError):
            parse_blobs_url(url)


def test_firestore_is_chosen_where_the_environment_asks_for_it(monkeypatch):  # M2
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    settings = load_settings(project="alethea-fcf82")
    assert settings.url == "firestore://alethea-fcf82/(default)"
    assert settings.origin("url") == "FIRESTORE_EMULATOR_HOST is set"

    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "gcp")
    assert load_settings(project="p").url == "firestore://gcp/(default)"
    monkeypatch.setenv("ALETHEIA_URL", "memory://")
    assert load_settings(project="p").url == "memory://"


def test_the_embedded_store_is_the_default(tmp_path):
    settings = load_settings(project="p")

    assert settings.url.startswith("file:///")
    assert "embedded" in settings.origin("url")


def test_the_embedded_store_never_lies_in_a_git_tree(tmp_path, monkeypatch):
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    monkeypatch.setenv("ALETHEIA_HOME", str(tmp_path / "repo" / "store"))

    with pytest.raises(SettingsError, match="ALETHEIA_HOME"):
        load_settings(project="p")
