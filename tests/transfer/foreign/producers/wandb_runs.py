"""Records with W&B, offline."""

from pathlib import Path

import wandb

QUIET = wandb.Settings(console="off")


def first():
    run = wandb.init(
        project="species",
        id="abcd1234",
        name="first",
        notes="why",
        tags=["base", "a; DROP TABLE x"],
        group="folds",
        config={"lr": 0.1, "opt": {"name": "adam", "betas": [0.9, 0.99]}},
        settings=QUIET,
    )
    for step in range(5):
        run.log({"loss": 1 / (step + 1), "nested": {"a": step}, "odd": float("nan")})
    run.log({"table": wandb.Table(columns=["a"], data=[[1]])})
    # So long a text is in several blocks of the file.
    run.log({"text": "word " * 20_000})
    Path("weights.txt").write_text("weights")
    run.save("weights.txt", policy="now")
    run.summary["best"] = 0.9
    run.config.update({"late": 1})
    artifact = wandb.Artifact("model", "model")
    artifact.add_file("weights.txt")
    run.log_artifact(artifact)
    run.finish()


def failing():
    run = wandb.init(project="species", id="bad00001", settings=QUIET)
    run.log({"loss": 1})
    run.finish(exit_code=3)


if __name__ == "__main__":
    first()
    failing()
