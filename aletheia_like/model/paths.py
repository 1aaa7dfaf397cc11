"""Every document path, on one screen.

    projects/{project}
    projects/{p}/experiments/{experiment}
    projects/{p}/experiments/{e}/runs/{run}
    projects/{p}/experiments/{e}/runs/{r}/rows/{writer-sequence}
    projects/{p}/experiments/{e}/results/{run}
    projects/{p}/experiments/{e}/artifacts/{name}/versions/{n}/files/{id}
    projects/{p}/datasets/{name}/versions/{n}/files/{id}
    projects/{p}/collections/{label}/revisions/{id}
    projects/{p}/repositories/{repo}/artifacts/{name}/versions/{n}
    projects/{p}/repositories/{repo}/releases/{tag}
    projects/{p}/repositories/{repo}/audit/{id}
    projects/{p}/repositories/{repo}/generations/{g}/artifacts, releases
    projects/{p}/metadata/{name}
    files/{sha256}

A name becomes an id by `names.to_id`; `from_id` gives it back.
"""

from __future__ import annotations

from aletheia_like.model.digests import check_digest, digest_bytes
from aletheia_like.model.names import to_id

PROJECTS = "projects"
FILES = "files"


def project(name: str) -> str:
    """Path of a project."""
    return f"{PROJECTS}/{to_id(name, 'project')}"


def experiments(project_path: str) -> str:
    """Collection of a project's experiments."""
    return f"{project_path}/experiments"


def experiment(project_path: str, name: str) -> str:
    """Path of an experiment."""
    return f"{experiments(project_path)}/{to_id(name, 'experiment')}"


def runs(experiment_path: str) -> str:
    """Collection of an experiment's runs."""
    return f"{experiment_path}/runs"


def run(experiment_path: str, id_: str) -> str:
    """Path of a run."""
    return f"{runs(experiment_path)}/{to_id(id_, 'run')}"


def rows(run_path: str) -> str:
    """Collection of a run's rows, in chunks."""
    return f"{run_path}/rows"


def chunk(run_path: str, writer: str, first: int) -> str:
    """Path of a chunk: who wrote its rows, and the sequence number of the first."""
    return f"{rows(run_path)}/{writer}-{first:010d}"


def results(experiment_path: str) -> str:
    """Collection of an experiment's leaderboard, one flat document for each finished run."""
    return f"{experiment_path}/results"


def result(experiment_path: str, run_id: str) -> str:
    """Path of a run's line in the leaderboard."""
    return f"{results(experiment_path)}/{to_id(run_id, 'run')}"


def artifacts(experiment_path: str) -> str:
    """Collection of an experiment's artifacts, by name."""
    return f"{experiment_path}/artifacts"


def artifact(experiment_path: str, name: str) -> str:
    """Path of an artifact: what its versions share."""
    return f"{artifacts(experiment_path)}/{to_id(name, 'artifact')}"


def datasets(project_path: str) -> str:
    """Collection of a project's datasets, by name."""
    return f"{project_path}/datasets"


def dataset(project_path: str, name: str) -> str:
    """Path of a dataset: what its versions share."""
    return f"{datasets(project_path)}/{to_id(name, 'dataset')}"


def versions(owner_path: str) -> str:
    """Collection of the versions of an artifact or dataset."""
    return f"{owner_path}/versions"


def version(owner_path: str, number: int) -> str:
    """Path of one version."""
    return f"{versions(owner_path)}/{number}"


def version_files(version_path: str) -> str:
    """Collection of a version's files."""
    return f"{version_path}/files"


def version_file(version_path: str, file_path: str) -> str:
    """Path of one file of a version; its id is made of the file's own path."""
    return f"{version_files(version_path)}/{digest_bytes(file_path.encode())[:32]}"


def collections(project_path: str) -> str:
    """Collection of a project's collections of series, by label."""
    return f"{project_path}/collections"


def series_collection(project_path: str, label: str) -> str:
    """Path of a collection of series: its schema, and how many changes it has seen."""
    return f"{collections(project_path)}/{to_id(label, 'collection')}"


def repositories(project_path: str) -> str:
    """Collection of a project's repositories."""
    return f"{project_path}/repositories"


def repository(project_path: str, name: str) -> str:
    """Path of a repository: what its artifacts share."""
    return f"{repositories(project_path)}/{to_id(name, 'repository')}"


def generation(repository_path: str, number: int) -> str:
    """Path below which a repository's artifacts and releases lie, since it was begun anew."""
    return f"{repository_path}/generations/{number}" if number else repository_path


def releases(generation_path: str) -> str:
    """Collection of a repository's releases."""
    return f"{generation_path}/releases"


def release(generation_path: str, tag: str) -> str:
    """Path of a release."""
    return f"{releases(generation_path)}/{to_id(tag, 'release')}"


def audit(repository_path: str) -> str:
    """Collection of what was done to a repository."""
    return f"{repository_path}/audit"


def metadata(project_path: str, name: str) -> str:
    """Path of a named piece of project metadata."""
    return f"{project_path}/metadata/{to_id(name, 'metadata document')}"


def file(digest: str) -> str:
    """Path of the index document of one blob."""
    return f"{FILES}/{check_digest(digest)}"
