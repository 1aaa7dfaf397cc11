"""`aletheia ls --where` and `aletheia diff`."""


def test_runs_are_listed_by_a_condition(aletheia, recorded):
    where = "metrics.acc > 0.6 or hyper_params.lr = 0"
    found = aletheia("ls", r"p/which\/one", "--where", where, "--order-by=-metrics.acc", "--json")

    assert [run["id"] for run in found.json] == ["2", "1"]
    assert "no such runs" in aletheia("ls", r"p/which\/one", "--where", "fold = 9").err


def test_runs_of_all_experiments_are_listed(aletheia, recorded):
    found = aletheia("ls", "p", "--where", "fold >= 1")

    assert found.out.count("which/one") == 2
    assert aletheia("ls", "-p", "p", "--limit", 1, "--json").json[0]["experiment"] == "which/one"
    assert aletheia("ls", "--where", "fold >= 1").code == 2


def test_a_mistake_is_pointed_at(aletheia, recorded):
    wrong = aletheia("ls", r"p/which\/one", "--where", "metrics.acc >> 1")

    assert wrong.code == 2
    assert "\n    metrics.acc >> 1\n                 ^" in wrong.err


def test_differences_are_shown(aletheia, recorded):
    shown = aletheia("diff", r"p/which\/one/1", r"which\/one/2", "-p", "p")

    assert shown.code == 0
    assert "hyper_params.lr" in shown.out
    assert "hyper_params.opt.name" not in shown.out
    assert "more do not differ" in shown.err
    everything = aletheia("diff", r"p/which\/one/1", r"p/which\/one/2", "--all")
    assert "hyper_params.opt.name" in everything.out


def test_differences_are_data(aletheia, recorded):
    told = aletheia("diff", r"p/which\/one/1", r"p/which\/one/2", "--json").json

    assert told["runs"] == ["1", "2"]
    assert told["values"]["metrics.acc"] == [0.5, 0.9]
    assert told["differences"] == len(told["values"])


def test_what_cannot_be_compared(aletheia, recorded):
    assert aletheia("diff", r"p/which\/one/1").code == 2
    assert aletheia("diff", r"p/which\/one", r"p/which\/one/1").code == 2
    assert aletheia("diff", r"p/which\/one/1", "q/e/1").code == 2
    assert aletheia("diff", r"p/which\/one/1", r"p/which\/one/9").code == 3
