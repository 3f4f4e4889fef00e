"""What the system tells of processes and connections. Linux alone: it reads /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_ESTABLISHED = "01"


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and of those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS


def processors_s() -> tuple[float, float]:
    """Of all processors together, since the machine started: seconds not idle, and all seconds."""
    ticks = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / _TICKS, sum(ticks) / _TICKS


def memory_mib(pid: int) -> float:
    """Resident memory; none of a process that has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MIB
    except FileNotFoundError:
        return 0.0


def highest_memory_mib(pid: int) -> float:
    """Resident memory at its highest."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def connections_to(port: int) -> int:
    """Established TCP connections over IPv4 to a port of this machine, counted at the side that opened them.

    The table changes while it is read. What stands in two readings was there between them, all at the same moment.
    """
    return len(_from(port) & _from(port))


def _from(port: int) -> set[str]:
    """Local addresses, with their sockets' inodes."""
    wanted = f":{port:04X}"
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        if remote.endswith(wanted) and state == _ESTABLISHED:
            found.add(f"{local} {rest[5]}")
    return found
