# SPDX-License-Identifier: Apache-2.0
"""What a laboratory's programs find around them is the same on every machine: environment, umask, limits, signals, loopback, a short
path for sockets.

What somebody set for his own programs is not for ours: proxies, locales, ~/.curlrc and ~/.digrc, sockets of the service manager that
runs us, OPENSSL_CONF. Without root the loopback stays everybody's, with all that listens there or is missing."""
import os
import re
import resource
import signal
import subprocess
import tempfile

from .process import LIBC

CLONE_NEWNET = 0x40000000
KEPT = re.compile(r"PATH|TERM|TMPDIR|TZ|PWD|(CAUSEWAY|PYTHON|PYTEST|LD|[A-Z]*SAN)_?\w*")
DESCRIPTORS = 16384  # for each process: ten thousand clients are one
SETTINGS = "/proc/sys/net/"  # of the network namespace of the thread that opens them
SOCKET_NAMES = 60  # bytes below a laboratory's folder: a Unix socket's path has 107
PLACE_OF_SOCKETS = "/tmp"


def settle():
    """For a whole process, before it starts anything: tests. A demo is told by its user in which network it is."""
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    os.environ.clear()
    os.environ.update(kept, LC_ALL="C.UTF-8", HOME="/nonexistent", PATH=with_sbin(kept.get("PATH", "/usr/bin:/bin")))
    os.umask(0o022)
    limit_descriptors()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # some are killed for the test
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # nohup and shells in the background have them ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    take_own_network()


def limit_descriptors():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limits in ((DESCRIPTORS, max(most, DESCRIPTORS)), (most, most)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return
        except (ValueError, OSError):
            pass  # only root may have more than there was


def take_own_network():
    """This thread, and what it starts, has a loopback to itself; as root, who may."""
    if os.geteuid() == 0 and LIBC.unshare(CLONE_NEWNET) == 0:
        set_defaults()
        path = with_sbin(os.environ.get("PATH", "/usr/bin:/bin"))
        subprocess.run(["ip", "link", "set", "lo", "up"], stdin=subprocess.DEVNULL, env={**os.environ, "PATH": path}, check=True)


def with_sbin(path):
    """nginx, nft and their like live there, which is not in everybody's PATH."""
    words = path.split(":")
    return ":".join(words + [folder for folder in ("/usr/sbin", "/sbin") if folder not in words])


def set_defaults():
    """In the namespace where this thread is: what a new one takes from the machine's own instead of from the kernel."""
    for setting, value in (("ipv6/conf/all/disable_ipv6", "0"), ("ipv6/conf/default/disable_ipv6", "0"), ("ipv4/ip_forward", "0"),
                           ("ipv4/conf/all/rp_filter", "0"), ("ipv4/conf/default/rp_filter", "0")):
        try:
            with open(SETTINGS + setting, "r+", encoding="ascii") as file:
                if file.read().strip() != value:
                    file.write(value)
        except OSError:
            pass  # a kernel without IPv6; what needs it says so


def folder_for_sockets():
    """Where laboratories lie: the usual place for temporary files, unless paths get too long there or strangers cannot pass."""
    place = os.path.realpath(tempfile.gettempdir())
    way = [place[:end.start()] or "/" for end in re.finditer("/|$", place)]
    is_open = all(os.stat(folder).st_mode & 0o001 for folder in way)
    return place if is_open and len(place) + SOCKET_NAMES < 108 else PLACE_OF_SOCKETS


def why_no_namespaces():
    """A sentence, or None where this process can make network namespaces and TUN devices."""
    if os.geteuid() != 0:
        return "needs root: it makes network namespaces"
    name = f"cwprobe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", name], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"no TUN devices here: {error}"
    return None
