# SPDX-License-Identifier: Apache-2.0
"""A laboratory on one machine: network namespaces, wide-area links between them, real servers inside.

Shared by the system tests and the demo; standard library only. Lab.close() leaves nothing behind: it ends the
processes that it started (by their ids), removes its namespaces and its folder.
"""
from .lab import Lab
from .network import Link, Namespace
from .process import Process, wait_until
from .wan import Wan

__all__ = ["Lab", "Link", "Namespace", "Process", "Wan", "wait_until"]
