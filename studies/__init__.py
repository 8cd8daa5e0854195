"""The measured runs of the book: what was compared, on which images, how it was scored. Run in a clone, not installed.

``catalog`` names every study as data; ``harness`` trains, resumes, scores and merges one (arm, seed) after the other;
``tasks`` has the pictures, splits, targets and scores; ``records`` are the files in ``results/``.

    python -m studies list
    python -m studies run usiigaci --arms weights no-weights
"""
