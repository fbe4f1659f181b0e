"""Fail with the first thing that this Python lacks of what the requirements files pin."""

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

if (Path(sys.prefix) / "installing").exists():  # environment.sh removes it when pip is done
    sys.exit("an installation was cut short")
requirements = "\n".join(Path(path).read_text(encoding="utf-8") for path in sys.argv[1:])
try:
    version("pip")  # fetches the demos
    for package, pin in re.findall(r"^([\w.-]+)==(\S+)", requirements, re.MULTILINE):
        installed = version(package).partition("+")[0]  # torch's builds: 2.13.0+cpu
        if installed != pin:
            sys.exit(f"{package} is {installed}, not {pin}")
except PackageNotFoundError as lack:
    sys.exit(f"{lack.args[0]} is missing")
