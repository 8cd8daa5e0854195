"""Studies as data: what is refused, what costs as much as what, and who reads which setting."""

import dataclasses
import json
import resource
import subprocess
import sys

import numpy as np
import pytest

from studies import __main__, catalog, harness, labs
from studies import training as arms
from studies.settings import TYPES, Read, checked
from unetbook import nets, results, sizes


def test_an_unknown_study_or_arm_is_named_with_the_closest():
    with pytest.raises(ValueError, match=r"no study 'usiigacy': did you mean 'usiigaci'\? Known: isbi2012, "):
        catalog.get("usiigacy")
    with pytest.raises(ValueError, match=r"no arm of usiigaci 'no weights': did you mean 'no-weights'\?"):
        catalog.arm(catalog.USIIGACI, "no weights")


@pytest.mark.parametrize(
    "values, message",
    [
        ({"fitlers": 4}, "the setting 'fitlers', which there is not: did you mean 'filters'"),
        ({"qqq": 4}, "the setting 'qqq', which there is not. Known: network, "),
        ({"filters": "sixteen"}, "filters = 'sixteen', which is not int"),
        ({"filters": True}, "filters = True, which is not int"),
        ({"schedule": "Adam, cosine to 0"}, "schedule = 'Adam, cosine to 0', which is not one of 'constant', 'cosine'"),
        ({"normalization": 3}, "normalization = 3, which is not str or NoneType"),
        ({"pictures": "cells"}, "pictures = 'cells', which is not tuple"),
        ({"augmentation": "a little"}, "augmentation = 'a little', which is not dict or one of 'none'"),
    ],
)
def test_a_setting_has_a_known_name_and_its_type(values, message):
    with pytest.raises(ValueError, match=r"^here has " + message.replace("(", r"\(")):
        checked(values, "here")
    with pytest.raises(ValueError, match=r"lab-skips has "):
        dataclasses.replace(labs.SKIPS, settings={**labs.SKIPS.settings, **values})


def test_a_study_names_what_it_has():
    for changes, message in (
        ({"task": "nerves"}, "the task 'nerves', and known are membranes"),
        ({"quick": {"side": 3}}, r"quick run of lab-skips changes \['side'\], which no arm has"),
        ({"pairs": (("fine, add", "fine, sum"),)}, r"names the arms \['fine, sum'\], and has fine, concat"),
        ({"keeps": ("all",)}, r"names the arms \['all'\]"),
        ({"seeds_of": {"fine, add": (0, 7)}}, r"arm 'fine, add' of lab-skips has seeds \(0, 7\), and the study \(0, 1"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(labs.SKIPS, **changes)
    with pytest.raises(dataclasses.FrozenInstanceError):
        labs.SKIPS.name = "other"


def test_an_entry_says_what_it_is_based_on_and_what_differs():
    assert catalog.CHOICES.based_on == "dsb2018"
    assert catalog.CHOICES.differs(catalog.DSB2018) == {"steps": 450, "epochs": 1, "scored": "validation"}
    for study in catalog.STUDIES.values():
        assert not study.based_on or study.based_on in catalog.STUDIES


def test_a_reader_remembers_what_was_read():
    read = Read({"tile": 64, "batch": 2}, "arm 'a' of b")
    assert read.tile == 64 and read.get("side", 3) == 3 and read.unread() == {"batch"}
    with pytest.raises(AttributeError, match=r"arm 'a' of b needs the setting 'steps': give it in studies/catalog\.py"):
        _ = read.steps


@pytest.mark.parametrize("study", catalog.STUDIES.values(), ids=lambda study: study.name)
def test_every_study_is_whole(study):
    few = study.task in ("membranes", "nuclei") or study.name in BEGUN  # labs claim by five seeds
    assert len(study.seeds) >= 5 or not study.pairs or few
    for arm in study.arms:
        values = study.values(arm)
        assert set(values) <= set(TYPES) and {"steps", "epochs", "tile"} - set(values) <= {"tile"}
        small = study.values(arm, quick=True)
        assert set(small) == set(values) and small["steps"] * small["epochs"] <= 4


BEGUN = {
    f"budget-{task}" for task in catalog.BUDGETS
}  # three draws, one for most arms; not all of them are measured yet


def test_stored_arms_are_those_of_the_catalog():
    stored = {path.stem for path in results.folder().glob("*.json")} - {"benchmarks", "clinic"}
    assert stored | BEGUN == set(catalog.STUDIES)
    for name, study in catalog.STUDIES.items():
        if name in BEGUN:
            continue
        found = results.study(name)
        assert set(found.arms) == set(study.arms)
        assert {tuple(pair) for pair in found.pairs} <= set(study.pairs)
        assert all(list(found.entries(arm)) == sorted(study.seeds_for(arm)) for arm in study.arms)


def built(study, arm, channels, classes, **changes):
    return arms.network(Read(study.values(arm) | changes), channels, classes)


def cost(study, arm, channels, classes, side, **changes):
    import keras

    model = built(study, arm, channels, classes, **changes)
    head = study.values(arm).get("head", "mean")
    model = model if head == "mean" else nets.prune(model, int(head[1:]))
    return sizes.multiply_adds(keras.models.clone_model(model, keras.Input((side, side, channels))))


@pytest.mark.parametrize("head", labs.HEADS)
def test_unets_cost_about_what_the_heads_cost(head):
    """Each head is compared with a U-Net of as many multiply-adds."""
    one, other = (cost(labs.UNETPP, f"fine, {arm}", 1, 2, 160) for arm in (head, f"U-Net as {head}"))
    assert 0.85 < other / one < 1.1


def test_the_family_has_an_equal_budget():
    work = {name: cost(labs.FAMILY_RATES, f"nuclei, {name}, 0.002", 1, 2, 64) for name in labs.NETWORKS}
    assert max(work.values()) / work["U-Net"] < 1.05 and min(work.values()) / work["U-Net"] > 0.95
    assert not set(labs.FAMILY.seeds) & set(labs.FAMILY_RATES.seeds)  # other pictures


@pytest.mark.parametrize(
    "study, pair, classes, side",
    [(catalog.DSB2018, ("unet", "unetpp"), 2, 256), (catalog.ISIC2017, ("improved", "unet"), 1, 192)],
    ids=["nuclei", "lesions"],
)
def test_networks_that_are_compared_cost_the_same(study, pair, classes, side):
    one, other = (cost(study, arm, 3, classes, side) for arm in pair)
    assert 0.9 < other / one < 1.1


def test_membranes_leave_out_one_part_each():
    values = {arm: catalog.ISBI2012.values(arm) for arm in catalog.ISBI2012.arms}

    def differs(arm):
        return {name for name, value in values[arm].items() if value != values["paper"][name]}

    assert differs("no-weights") == {"w0", "balanced"} and differs("no-elastic") == {"augmentation"}
    optimizer, rates = arms.optimizer(Read(values["paper"])), []
    for step in (0, 100, 1500):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert optimizer.momentum == 0.99 and rates == pytest.approx([0, 0.05, 0], abs=1e-6)


def test_touching_cells_differ_in_target_and_weights_alone():
    values = {arm: catalog.USIIGACI.values(arm) for arm in catalog.USIIGACI.arms}
    for arm in values:
        changed = {name for name in values[arm] if values[arm].get(name) != values["weights"].get(name)}
        assert changed <= {"target", "w0", "border_weight"}


def test_arms_that_differ_in_how_they_are_read_share_a_training():
    run = harness._Run(labs.UNETPP, False, None, None)
    assert {run._trained_by(f"fine, {head}") for head in (*labs.HEADS, "mean")} == {"fine, L1"}
    assert run._trained_by("fine, alone") == "fine, alone" and run._trained_by("coarse, L2") == "coarse, L1"


def test_the_encoder_sees_every_kind_in_color():
    from studies.tasks import synthetic

    settings = Read(labs.ENCODER.values("encoder", quick=True))
    images, classes = synthetic.load(settings, 0).train
    assert images.shape[-1] == 1 and classes.shape == images.shape[:3] and images.shape[0] == 6
    assert [set(np.unique(part)) for part in (classes[:2], classes[2:4], classes[4:])] == [{0, 1}, {0, 2}, {0, 3}]
    colored, labels = arms.recolored(images[0], classes[0], np.random.default_rng(0))
    assert colored.shape == (64, 64, 3) and colored.dtype == np.float32 and labels.shape == (64, 64)
    assert 0 <= colored.min() and colored.max() <= 1 and np.any(colored[..., 0] != colored[..., 1])


def seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("module", ["studies", "unetbook"])
def test_listing_is_quick_and_does_not_import_keras(module):
    """Seconds of the processor: other tests may run beside this one."""
    code = f"import sys; from {module} import __main__; __main__.main(['list']); assert 'keras' not in sys.modules"
    taken = []
    for _ in range(2):  # the first may read from a cold disk
        before = seconds_of_children()
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        taken.append(seconds_of_children() - before)
    assert min(taken) < 0.5 and "usiigaci" in found.stdout
    if module == "studies":
        assert "weights; no-weights; border; border-weights" in found.stdout
        assert found.stdout.count("measured") >= len(set(catalog.STUDIES) - BEGUN)


def test_listing_tells_what_is_only_begun_and_what_is_damaged(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    head = {"settings": {}, "pairs": [], "differences": {}, "tables": {}}

    def listed(name, arms):
        (tmp_path / f"{name}.json").write_text(json.dumps({**head, "arms": arms}) if arms is not None else "{")
        assert __main__.main(["list"]) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{name} "))
        return line[len(name) :].split()[0]

    study = catalog.USIIGACI
    arms = {arm: {"seeds": {str(seed): {} for seed in study.seeds_for(arm)}} for arm in study.arms}
    assert listed(study.name, arms) == "measured"
    del arms["border"]["seeds"]["2"]
    assert listed(study.name, arms) == "begun" and listed(study.name, {}) == "begun"
    assert listed(study.name, None) == "damaged"


def test_a_study_of_one_arm_keeps_a_file_of_its_own_name():
    assert labs.ENCODER.stem("encoder") == "encoder-synthetic" and catalog.DSB2018.stem("unet") == "dsb2018-unet"
    kept = {study.stem(arm) for study in catalog.STUDIES.values() for arm in study.keeps}
    assert kept == {path.stem for path in (results.folder() / "weights").glob("*.keras")}
