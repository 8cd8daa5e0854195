"""U-Net, U-Net++ and Improved U-Net at equal budget, beside a well-tuned plain U-Net. Chapter 13.

Equal budget: as many steps on the same tiles, and about as many multiply-adds a step. Each network has the learning
rate that did best for it in ``lab-family-rates``, on other pictures; the tuned U-Net also the best normalization.
"""

from unetbook import recipes, sizes
from unetbook.recipes import lab_family_rates

NAME = "lab-family"
SUMMARY = "U-Net, tuned U-Net, U-Net++ and Improved U-Net at equal steps and multiply-adds, on nuclei and on lesions"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = lab_family_rates.SETTINGS
QUICK = lab_family_rates.QUICK
TASKS = lab_family_rates.TASKS
CANDIDATES = {
    "U-Net": ["U-Net"],
    "U-Net, tuned": ["U-Net", "U-Net, batch", "U-Net, instance"],
    "U-Net++": ["U-Net++"],
    "Improved U-Net": ["Improved U-Net"],
}
ARMS = {f"{task}, {name}": {"task": task, "candidates": names} for task in TASKS for name, names in CANDIDATES.items()}
PAIRS = [
    (f"{task}, {name}", f"{task}, U-Net, tuned") for task in TASKS for name in CANDIDATES if name != "U-Net, tuned"
]

data = lab_family_rates.data


def measure(data, options, settings, seed) -> dict:
    """Train one network as tuned; its scores, parameters and multiply-adds (for one picture), and what was chosen."""
    choice = tuned(options["task"], options["candidates"])
    entry = lab_family_rates.measure(data, {"task": options["task"], **choice}, settings, seed)
    (images, _), _ = data[options["task"]]
    model = lab_family_rates.network(choice["network"], images.shape[1:], settings["depth"])
    return {**entry, **choice, "multiply_adds": sizes.multiply_adds(model)}


def tuned(task, candidates) -> dict:
    """Network and learning rate with the best mean Dice in ``lab-family-rates``, among these candidates."""
    mean = recipes.result(lab_family_rates.NAME)["mean"]
    arms = {name: arm for name, arm in lab_family_rates.ARMS.items() if arm["task"] == task}
    best = max((name for name in arms if arms[name]["network"] in candidates), key=lambda name: mean[name]["dice"])
    return {name: arms[best][name] for name in ("network", "learning_rate")}
