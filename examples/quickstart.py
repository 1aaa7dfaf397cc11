"""Which penguin is it? Five-fold cross-validation, recorded from data set to leaderboard.

Run it with `python examples/quickstart.py` or `aletheia demo`. It uses the embedded store, or
whatever store your settings name; `aletheia emulator exec -- aletheia demo` runs it against
the Firestore and Cloud Storage emulators, with equal results.
"""

from __future__ import annotations

import json
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss
from sklearn.model_selection import StratifiedKFold

import aletheia_like as al

FEATURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
GROWTH = (1, 2, 3, 5, 8, 13, 21, 34, 47, 60)
HYPER_PARAMS = {"n_estimators": 60, "max_depth": 4, "random_state": 7}


def register_penguins(ms: al.Metastore) -> None:
    """Add the published data set that the palmerpenguins package carries."""
    with as_file(files("palmerpenguins") / "data" / "penguins.csv") as path:
        dataset = ms.add_dataset(
            "palmer-penguins",
            path,
            type="table",
            desc="Size measurements of three penguin species on islands of the Palmer Archipelago",
            source={"doi": "10.5281/zenodo.3960218", "licence": "CC0"},
            features={"species": "category", **dict.fromkeys(FEATURES, "float")},
        )
    print(f"data set   {dataset}  {dataset.size} bytes  sha-256 {dataset.digest[:12]}…")


def run_fold(exper: al.Experiment, fold: int) -> None:
    """Train on four fifths, test on the fifth, and record what came of it."""
    with (
        exper.start_run(fold=fold, tags=["quickstart"]) as run,
        tempfile.TemporaryDirectory() as tmp,
    ):
        run.set_fold()
        path = run.get_dataset("palmer-penguins", download=True).local_path
        table = pd.read_csv(path).dropna(subset=FEATURES)
        run.set_model("random forest", desc="scikit-learn's RandomForestClassifier", version=1)
        run.set_hyper_params(HYPER_PARAMS)

        splitter = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
        train, test = list(splitter.split(table, table["species"]))[fold]
        truth = table["species"].iloc[test]
        model = RandomForestClassifier(**HYPER_PARAMS, warm_start=True)
        for trees in GROWTH:
            model.set_params(n_estimators=trees)
            model.fit(table[FEATURES].iloc[train], table["species"].iloc[train])
            guess = model.predict(table[FEATURES].iloc[test])
            belief = model.predict_proba(table[FEATURES].iloc[test])
            loss = log_loss(truth, belief, labels=model.classes_)
            run.log({"accuracy": accuracy_score(truth, guess), "log_loss": loss}, step=trees)
        run.add_metrics(
            {
                "accuracy": accuracy_score(truth, guess),
                "f1": f1_score(truth, guess, average="macro"),
                "test_rows": len(test),
            }
        )
        matrix = confusion_matrix(truth, guess, labels=model.classes_)
        report = {"classes": list(model.classes_), "confusion": matrix.tolist()}
        report_path = Path(tmp) / "confusion.json"
        report_path.write_text(json.dumps(report, indent=2))
        run.add_artifact("confusion", report_path)


def main() -> None:
    """Record five runs and print the leaderboard."""
    with al.Metastore("penguins") as ms:
        print(f"metastore  {ms!r}")
        register_penguins(ms)
        exper = ms.exper("which species", desc="How far do four measurements tell the species?")
        for fold in range(5):
            run_fold(exper, fold)
        board = exper.results().to_pandas().tail(5)
        board = board.sort_values("metrics.accuracy", ascending=False)
        columns = ["run", "fold", "metrics.accuracy", "metrics.f1", "metrics.test_rows", "commit"]
        board = board.reindex(columns=columns)
        board["commit"] = board["commit"].astype("string").str[:8]
        print(board.to_string(index=False, float_format="{:.4f}".format))
        print(f"mean accuracy {board['metrics.accuracy'].mean():.4f}")
        print("\nlog loss by the number of trees, fold by fold")
        curves = ms.rows(experiment=exper.name).to_pandas()
        newest = curves[curves["run_id"].isin(board["run"])]
        print(
            newest.pivot_table(index="run_id", columns="step", values="log_loss")
            .round(3)
            .to_string()
        )


if __name__ == "__main__":
    main()
