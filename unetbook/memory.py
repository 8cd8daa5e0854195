"""Whether what is asked for fits into this machine's memory."""

from pathlib import Path


def free() -> int | None:
    """Bytes that are free, where Linux tells; ``None`` elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def check(needed: int, width: int, height: int) -> None:
    """``ValueError`` for pictures of this size that need more bytes than are free."""
    there = free()
    if there is not None and needed > there:
        raise ValueError(
            f"{width} x {height} pixels need about {needed / 2**30:.0f} GB of memory, and {there / 2**30:.0f} GB are "
            "free: cut the picture into parts that overlap, or use a larger machine"
        )
